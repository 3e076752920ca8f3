"""Depth-scaled expression, as logarithms or roots, from the measured genes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError, NegativeCountsError, NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["check_measured", "find_transform", "gene_share", "log_normalize", "root_normalize", "take_measured"]


def log_normalize(
    counts: SparseCounts, measured: ArrayLike, gene_share: ArrayLike | None = None, target: float = 1e4
) -> sparse.csr_array:
    r"""Counts per ``target``, log1p, with the total taken over the measured genes only.

    A panel holds a part of the transcriptome, so the same count is a larger fraction of a panel's
    total. With ``gene_share`` the total is divided by the share of all training counts that falls
    into the measured genes, which brings the values back to the training scale:

    .. math::
        z_{cg} = \log\Bigl(1 + \mathrm{target}\, \frac{x_{cg}}{\sum_{h \in M} x_{ch}}
        \sum_{h \in M} s_h\Bigr)

    for the measured genes g in M, with counts x and shares s.

    With every gene measured this is ``scanpy.pp.normalize_total(target_sum=target)`` followed by
    ``scanpy.pp.log1p``.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes); columns that are not measured are ignored, whatever they
        hold.
    measured
        Measured genes (n_genes,), boolean, at least one.
    gene_share
        Fraction of all training counts per gene (n_genes,), summing to 1. None leaves the total as
        it is.
    target
        Counts per cell after scaling, over all genes.

    Returns
    -------
    Log-normalised expression (n_cells, n_measured), natural logarithm, float64. A cell without a
    measured count stays zero.

    Raises
    ------
    ConfigError
        ``target`` is not positive.
    DataError
        Shapes do not fit or no gene is measured.
    NonFiniteError, NegativeCountsError
        A measured column holds such a value.
    """
    scaled = _scaled(counts, measured, gene_share, target)
    scaled.data = np.log1p(scaled.data)
    return scaled


def root_normalize(
    counts: SparseCounts, measured: ArrayLike, gene_share: ArrayLike | None = None, target: float = 1e4
) -> sparse.csr_array:
    """Square roots of counts per ``target``, with the total as in :func:`log_normalize`.

    The root of a Poisson count has a variance near 1/4 whatever its mean (Anscombe 1948,
    Biometrika 35, 246-254), so that genes of any height are counted with the same noise.

    Parameters
    ----------
    counts, measured, gene_share, target
        As for :func:`log_normalize`, whose errors these are.

    Returns
    -------
    Roots (n_cells, n_measured), float64. A cell without a measured count stays zero.
    """
    scaled = _scaled(counts, measured, gene_share, target)
    scaled.data = np.sqrt(scaled.data)
    return scaled


TRANSFORMS: Final = {"log": log_normalize, "root": root_normalize}
"""What controls may read of counts, by name."""


def find_transform(name: str) -> Callable[..., sparse.csr_array]:
    """The transform of this name.

    Raises
    ------
    ConfigError
        There is none.
    """
    if name not in TRANSFORMS:
        message = f"transform is {name!r}; needed is one of {sorted(TRANSFORMS)}."
        raise ConfigError(message)
    return TRANSFORMS[name]


def _scaled(counts: SparseCounts, measured: ArrayLike, gene_share: ArrayLike | None, target: float) -> sparse.csr_array:
    if not target > 0:
        message = f"target is {target}, it must be positive; the usual value is 1e4."
        raise ConfigError(message)
    mask = check_measured(measured, counts.shape[1])
    kept = take_measured(counts, mask)
    share = 1.0 if gene_share is None else float(np.asarray(gene_share, dtype=np.float64)[mask].sum())
    total = np.asarray(kept.sum(axis=1)).ravel()
    scale = np.divide(target * share, total, out=np.zeros_like(total), where=total > 0)
    kept.data = kept.data * np.repeat(scale, np.diff(kept.indptr))
    return kept


def take_measured(counts: SparseCounts, measured: NDArray[np.bool_]) -> sparse.csr_array:
    """The measured columns (n_cells, n_measured) as a float64 copy, checked for values that are not
    counts.
    """
    kept = sparse.csr_array(counts)[:, np.flatnonzero(measured)].astype(np.float64)
    if not np.isfinite(kept.data).all():
        message = "The measured genes hold NaN or infinite values; raw counts are needed. Mark such genes as not measured."
        raise NonFiniteError(message)
    if kept.nnz and kept.data.min() < 0:
        message = f"The measured genes hold negative values (smallest {kept.data.min():.3g}); pass raw counts."
        raise NegativeCountsError(message)
    return kept


def check_measured(measured: ArrayLike, n_genes: int) -> NDArray[np.bool_]:
    """``measured`` as a boolean array (n_genes,) with at least one gene."""
    mask = np.asarray(measured)
    if mask.dtype != np.bool_ or mask.shape != (n_genes,):
        message = f"measured has dtype {mask.dtype} and shape {mask.shape}; a boolean mask of shape ({n_genes},) is needed."
        raise DataError(message)
    if not mask.any():
        message = f"None of the {n_genes} genes is measured; at least one is needed."
        raise DataError(message)
    return mask


def gene_share(counts: SparseCounts) -> NDArray[np.float64]:
    """Fraction of all counts that falls on each gene (n_genes,)."""
    per_gene: NDArray[np.float64] = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    total = float(per_gene.sum())
    if not total > 0:
        message = f"The {counts.shape[0]} training cells hold no count at all; pass raw counts."
        raise DataError(message)
    return per_gene / total
