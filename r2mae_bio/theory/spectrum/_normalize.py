"""From counts to normalised expression of the variable genes, without a dense copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError, EmptyCellsError, NegativeCountsError, NonFiniteError
from r2mae_bio.theory.spectrum._blocks import location_and_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import Float

Normalization: TypeAlias = Literal["log1p", "pearson_residuals"]
TARGET_SUM = 1e4
"""Counts per cell after scaling, over all genes."""
OVERDISPERSION = 100.0
"""Inverse overdispersion of the null model of Pearson residuals."""
MIN_SHARE = 0.01
"""Share of the cells that must express a gene; it must also be three cells."""
_MIN_CELLS = 3
_N_BINS = 20
_CONSTANT = 1e-12


@dataclass(frozen=True, eq=False)
class PearsonResiduals:
    """Pearson residuals of counts, computed row by row when asked for: the matrix itself would be
    dense.
    """

    counts: sparse.csr_array
    """Counts of the selected genes (n, d)."""
    depth: Float
    """Total of every cell over all genes (n,)."""
    share: Float
    """Share of all counts that falls on each gene (d,)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells x genes."""
        return self.depth.size, self.share.size

    def __getitem__(self, rows: Any) -> Float:
        """Residuals of some cells (b, d)."""
        mean = self.depth[rows, None] * self.share
        residual: Float = (self.counts[rows].toarray() - mean) / np.sqrt(mean + mean**2 / OVERDISPERSION)
        clip = np.sqrt(self.depth.size)
        return np.clip(residual, -clip, clip, out=residual)


@dataclass(frozen=True, eq=False)
class NormalizedCounts:
    """Normalised expression of the selected genes."""

    matrix: sparse.csr_array | PearsonResiduals
    """Cells x selected genes (n, d); residuals are computed when rows are asked for."""
    genes: NDArray[np.int64]
    """Columns of the counts that were selected, ascending (d,)."""


def normalize_counts(counts: Any, *, n_top_genes: int = 2000, normalization: Normalization = "log1p") -> NormalizedCounts:
    r"""Normalise counts and keep the most variable genes.

    Genes that fewer than 1% of the cells, or fewer than three, express are left out: standardised,
    their few counts are so large that single cells decide about their correlations.

    ``"log1p"``: counts per 10,000 over all genes, then :math:`\log(1 + x)`. Genes are ranked by
    their dispersion (variance / mean of the counts per 10,000), standardised within 20 bins of mean
    expression, as in Seurat's first and scanpy's default method (Satija et al. 2015).
    ``"pearson_residuals"``: residuals of a negative binomial null model with inverse overdispersion
    100, clipped at :math:`\pm\sqrt n`; genes are ranked by the variance of their residuals (Lause,
    Berens and Kobak 2021).

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes), sparse or dense.
    n_top_genes
        Number of genes to keep; all that vary if there are fewer.
    normalization
        ``"log1p"``, which stays sparse, or ``"pearson_residuals"``.

    Returns
    -------
    The normalised matrix and the positions of its genes. Genes that do not vary are never selected
    either.

    Raises
    ------
    ConfigError
        A setting is out of range.
    DataError
        The matrix is empty, holds values that are no counts or cells without counts, or no gene
        varies.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import normalize_counts
    >>> counts = np.random.default_rng(0).poisson(2.0, (30, 8)) * (np.arange(8) != 3)
    >>> normalize_counts(counts, n_top_genes=10).genes
    array([0, 1, 2, 4, 5, 6, 7])
    """
    if normalization not in ("log1p", "pearson_residuals"):
        message = f"normalization is {normalization!r}; needed is 'log1p' or 'pearson_residuals'."
        raise ConfigError(message)
    if isinstance(n_top_genes, bool) or not isinstance(n_top_genes, int | np.integer) or n_top_genes < 2:
        message = f"n_top_genes is {n_top_genes!r}; needed is a whole number of at least 2."
        raise ConfigError(message)
    matrix, depth = _check(counts)
    eligible = _expressed(matrix)
    return (_log1p if normalization == "log1p" else _residuals)(matrix, depth, eligible, int(n_top_genes))


def _check(counts: Any) -> tuple[sparse.csr_array, Float]:
    """The counts as CSR, and the total of every cell."""
    if not sparse.issparse(counts):
        counts = np.asarray(counts)
    if counts.ndim != 2 or min(counts.shape) < 2:
        message = f"The counts have shape {counts.shape}; needed are at least 2 cells x 2 genes."
        raise DataError(message)
    matrix = sparse.csr_array(counts)
    if not np.isfinite(matrix.data).all():
        message = "The counts hold NaN or infinite values; raw counts are needed."
        raise NonFiniteError(message)
    if matrix.nnz and matrix.data.min() < 0:
        message = f"The counts hold negative values (smallest {matrix.data.min():.3g}); raw counts are needed."
        raise NegativeCountsError(message)
    depth = np.asarray(matrix.sum(axis=1, dtype=np.float64))
    if (depth == 0).any():
        message = f"{int((depth == 0).sum())} of {depth.size} cells have no count at all; leave them out."
        raise EmptyCellsError(message)
    return matrix, depth


def _expressed(counts: sparse.csr_array) -> NDArray[np.int64]:
    """Genes that enough cells express."""
    n_cells = np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1])
    needed = max(MIN_SHARE * counts.shape[0], min(_MIN_CELLS, counts.shape[0]))
    return np.flatnonzero(n_cells >= needed)


def _log1p(counts: sparse.csr_array, depth: Float, eligible: NDArray[np.int64], n_top_genes: int) -> NormalizedCounts:
    scaled = sparse.csr_array(counts[:, eligible], dtype=np.float64)
    scaled.data *= np.repeat(TARGET_SUM / depth, np.diff(scaled.indptr))
    chosen = most_variable(_standardized_dispersion(scaled), n_top_genes)
    kept = sparse.csr_array(scaled[:, chosen])
    np.log1p(kept.data, out=kept.data)
    return NormalizedCounts(kept, eligible[chosen])


def _residuals(counts: sparse.csr_array, depth: Float, eligible: NDArray[np.int64], n_top_genes: int) -> NormalizedCounts:
    share = np.asarray(counts.sum(axis=0, dtype=np.float64)) / depth.sum()
    candidates = PearsonResiduals(sparse.csr_array(counts[:, eligible]), depth, share[eligible])
    variance = location_and_variance(candidates, np.arange(depth.size), np.ones(depth.size))[1]
    genes = eligible[most_variable(np.where(variance > 0, variance, -np.inf), n_top_genes)]
    return NormalizedCounts(PearsonResiduals(sparse.csr_array(counts[:, genes]), depth, share[genes]), genes)


def most_variable(score: Float, n_top_genes: int) -> NDArray[np.int64]:
    """Positions of the highest scores, ascending; -inf marks what must not be chosen, and of equals
    the first is taken.
    """
    order = np.argsort(-score, kind="stable")[:n_top_genes]
    chosen = np.sort(order[np.isfinite(score[order])])
    if chosen.size < 2:
        message = (
            f"{chosen.size} of {score.size} genes that at least 1% of the cells (and 3 cells) express vary between cells; "
            "at least 2 are needed. Pass more cells or genes."
        )
        raise DataError(message)
    return chosen.astype(np.int64)


def _standardized_dispersion(scaled: sparse.csr_array) -> Float:
    """Score of every gene (n_genes,); -inf for genes that do not vary."""
    n = scaled.shape[0]
    mean = np.bincount(scaled.indices, scaled.data, scaled.shape[1]) / n
    variance = (np.bincount(scaled.indices, scaled.data**2, scaled.shape[1]) / n - mean**2) * n / (n - 1)
    varies = np.flatnonzero(variance > _CONSTANT * mean**2)
    score = np.full(mean.size, -np.inf)
    if varies.size:
        level, dispersion = np.log1p(mean[varies]), np.log(variance[varies] / mean[varies])
        score[varies] = _standardize_within(_bins(level), dispersion)
    return score


def _bins(level: Float) -> NDArray[np.int64]:
    """Bins of equal width, closed on the right (n,)."""
    inner = np.linspace(level.min(), level.max(), _N_BINS + 1)[1:-1]
    return np.searchsorted(inner, level, side="left")


def _standardize_within(bins: NDArray[np.int64], values: Float) -> Float:
    """Centred and scaled within bins (n,); a value alone in its bin scores 1."""
    size = np.bincount(bins, minlength=_N_BINS)
    mean = np.bincount(bins, values, _N_BINS) / np.maximum(size, 1)
    squares = np.bincount(bins, (values - mean[bins]) ** 2, _N_BINS)
    spread = np.sqrt(squares / np.maximum(size - 1, 1))
    alone = (spread == 0)[bins]
    return np.where(alone, 1.0, (values - mean[bins]) / np.where(alone, 1.0, spread[bins]))
