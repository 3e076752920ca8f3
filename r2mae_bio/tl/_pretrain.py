"""``tl.pretrain``: set up, build and train in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2mae_bio.cells.model._gene_mae import GeneMAE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

    from r2mae_bio.masking import RatioLaw


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
