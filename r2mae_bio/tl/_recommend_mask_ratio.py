"""``tl.recommend_mask_ratio``: which mask ratios suit a data set, by the linear theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._check import advise, check_counts
from r2mae_bio.cells.read._data import make_actual
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix, in_memory
from r2mae_bio.cells.read._panels import common_columns, read_panels
from r2mae_bio.cells.read._uns import check_key, write_record
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.theory import recommend_mask_ratio as recommend_from_counts

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.theory import Recommendation
    from r2mae_bio.theory.advice._report import Masks
    from r2mae_bio.theory.spectrum._normalize import Normalization
    from r2mae_bio.theory.spectrum._shrinkage import Shrinkage


@answers_misspelt
def recommend_mask_ratio(
    adata: AnnData,
    *,
    layer: str | None = None,
    panel: float = 0.1,
    n_cells: int | None = None,
    masks: Masks = "fresh",
    n_top_genes: int = 2000,
    normalization: Normalization = "log1p",
    shrinkage: Shrinkage = "ledoit-wolf",
    n_bootstrap: int = 20,
    seed: int = 0,
    key_added: str = KEYS.mask_ratio,
) -> Recommendation:
    """Ask the linear theory which mask ratios suit a data set.

    The error of a masked linear autoencoder is found for every fixed ratio and for laws
    ``Uniform(low, high)``, for cells that are later measured in full and on a panel: on held-out
    cells, with masks drawn anew for ever. A network differs from the linear model, so take this as
    advice. In the linear model a random ratio does not beat the best fixed one by more than noise;
    the verdict says what it costs here, and what it spares. See
    :func:`r2mae_bio.theory.recommend_mask_ratio` for the method. Of data from several panels (see
    :func:`r2mae_bio.pp.measured_by_batch`) the genes that all cells have are used.

    Parameters
    ----------
    adata
        Cells with raw counts.
    layer
        Layer of the counts; ``X`` if None.
    panel
        Share of the genes that a panel, or a shallow cell, will measure, in (0, 1).
    n_cells
        Number of cells to train on; all of ``adata`` if None.
    masks
        ``"fresh"``: masks drawn anew in every epoch, whose order of ratios trained networks follow
        (``benchmarks/results/theory_advice.md``). ``"single"``: one mask per cell, the model of the
        paper.
    n_top_genes
        Number of most variable genes to use.
    normalization
        ``"log1p"`` (10,000 counts per cell, then log(1 + x)) or ``"pearson_residuals"``.
    shrinkage
        ``"ledoit-wolf"``, or None for the sample correlation.
    n_bootstrap
        Bootstrap samples of the cells; 0 for none.
    seed
        Seed of the folds, of the bootstrap, of 200 genes over which errors are averaged, and of
        20,000 cells where there are more.
    key_added
        Key of ``.uns["r2mae"]``.

    Returns
    -------
    The recommendation; print it, or read ``law`` and ``verdict``. The same is written to
    ``.uns["r2mae"][key_added]`` (dict of float64 arrays, float, int and str; curves under ``full``
    and ``panel``; ``masks``, and as ``evidence`` ``"held-out"`` or ``"theory"``, which records of
    earlier versions lack), from where :func:`r2mae_bio.pl.risk_curve` draws it.

    Raises
    ------
    CountsError
        The matrix does not hold raw counts; nothing is written.
    SetupError
        There is no such layer.
    ConfigError, DataError
        A setting is out of range, or too few genes vary.
    """
    check_key(key_added, default=KEYS.mask_ratio)
    matrix = get_matrix(adata, layer)
    names = {"where": describe_matrix(layer), "obs_names": adata.obs_names, "var_names": adata.var_names}
    check_counts(matrix, **names, panels=read_panels(adata), advice=advise(adata, layer))
    advice = recommend_from_counts(
        in_memory(matrix, common_columns(adata)),
        n_cells=n_cells,
        panel=panel,
        masks=masks,
        n_top_genes=n_top_genes,
        normalization=normalization,
        shrinkage=shrinkage,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    make_actual(adata)
    write_record(adata, key_added, advice.to_uns())
    return advice
