"""``tl.pretrain``: set up, build and train in one call."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.config import GeneConfig
from r2mae_bio.config._names import TRAIN
from r2mae_bio.config._training import TRAIN_INSTEAD
from r2mae_bio.core._run import check_trainer_kwargs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

    from r2mae_bio.masking import RatioLaw

_INSTEAD: Final = TRAIN_INSTEAD | {
    name: f'write model_kwargs={{"{name}": ...}}'
    for name in ("seed", "duplicate_genes", *(field.name for field in fields(GeneConfig)))
}
"""What to do instead, for names that are not those of arguments."""


def pretrain(
    adata: AnnData,
    *,
    layer: str | None = None,
    batch_key: str | None = None,
    labels_key: str | None = None,
    categorical_covariate_keys: str | Sequence[str] | None = None,
    continuous_covariate_keys: str | Sequence[str] | None = None,
    mask_ratio: float | tuple[float, float] | RatioLaw | str = (0, 1),
    gene_likelihood: str = "nb",
    measured: pd.DataFrame | Mapping[str, Sequence[str]] | str | None = None,
    panel_key: str | None = None,
    model_kwargs: dict[str, Any] | None = None,
    **train_kwargs: Any,
) -> GeneMAE:
    """Pretrain a :class:`~r2mae_bio.model.GeneMAE` on a data set.

    Parameters
    ----------
    adata
        Training data.
    layer
        Layer of raw counts; ``X`` if None.
    batch_key, categorical_covariate_keys, continuous_covariate_keys
        Columns of ``.obs`` that the decoder may use; see :meth:`GeneMAE.setup_anndata`.
    labels_key
        Column of ``.obs`` with classes, remembered for :meth:`GeneMAE.finetune`; not read here.
    mask_ratio
        A number (fixed), a pair (uniform; R2MAE), a law of :mod:`r2mae_bio.masking`, or ``"auto"``.
    gene_likelihood
        ``"nb"``, ``"zinb"``, ``"poisson"``, or ``"normal"`` for log-normalised data.
    measured, panel_key
        Which genes were measured in which cells; see :meth:`GeneMAE.setup_anndata`.
    model_kwargs
        Further arguments of :class:`GeneMAE`, such as ``seed`` and ``n_latent``.
    train_kwargs
        Arguments of :meth:`GeneMAE.train`, such as ``max_epochs`` and ``checkpoint_dir``.

    Returns
    -------
    The trained model; written is what :meth:`GeneMAE.setup_anndata` writes.

    Raises
    ------
    CountsError, SetupError, DataError, ConfigError, TrainingError
        As for the methods of :class:`GeneMAE`.
    """
    _check(train_kwargs)
    GeneMAE.setup_anndata(
        adata,
        layer=layer,
        batch_key=batch_key,
        labels_key=labels_key,
        categorical_covariate_keys=categorical_covariate_keys,
        continuous_covariate_keys=continuous_covariate_keys,
        gene_likelihood=gene_likelihood,
        measured=measured,
        panel_key=panel_key,
    )
    model = GeneMAE(adata, mask_ratio=mask_ratio, **(model_kwargs or {}))
    model.train(**train_kwargs)
    return model


def _check(given: Mapping[str, Any]) -> None:
    """Refuse names that nothing knows before the counts are read; the trainer, whose names they may
    be, takes seconds to load.
    """
    of_training = inspect.signature(GeneMAE.train).parameters
    others = {name: value for name, value in given.items() if name not in of_training and name not in TRAIN}
    if others:
        known = {*of_training, *inspect.signature(pretrain).parameters}
        check_trainer_kwargs(others, known, what="pretrain()", instead=_INSTEAD)
