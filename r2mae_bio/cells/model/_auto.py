"""``mask_ratio="auto"``: the law that the linear theory recommends for the training data."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._matrix import get_matrix, in_memory
from r2mae_bio.cells.read._panels import common_columns
from r2mae_bio.cells.read._uns import write_record
from r2mae_bio.masking import Uniform, as_ratio_law
from r2mae_bio.theory import recommend_mask_ratio

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.cells.model._setup import Setup
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.theory.spectrum._normalize import Normalization

logger = logging.getLogger("r2mae_bio")


def resolve_mask_ratio(
    mask_ratio: float | tuple[float, float] | RatioLaw | str, adata: AnnData, setup: Setup, *, seed: int
) -> RatioLaw:
    """The law a user asked for.

    Parameters
    ----------
    mask_ratio
        ``"auto"``, or what :func:`r2mae_bio.masking.as_ratio_law` takes.
    adata
        Training data; with ``"auto"`` the recommendation, from fresh masks on held-out cells and
        the genes that were measured in all of them, is written to ``.uns["r2mae"]["mask_ratio"]``.
    setup
        Where they keep their values.
    seed
        Seed of the recommendation: of its folds, and of the genes and cells that enter.

    Raises
    ------
    ConfigError
        It is none of these.
    DataError
        The spectrum of the genes cannot be computed.
    """
    if mask_ratio != "auto":
        return as_ratio_law(mask_ratio)  # type: ignore[arg-type]
    normalization: Normalization | None = None if setup.gene_likelihood == "normal" else "log1p"
    advice = recommend_mask_ratio(
        in_memory(get_matrix(adata, setup.layer), common_columns(adata)), normalization=normalization, n_bootstrap=0, seed=seed
    )
    logger.info("mask_ratio='auto': %s", advice.verdict)
    write_record(adata, KEYS.mask_ratio, advice.to_uns())
    return Uniform(*advice.law)
