"""Correlations between genes, and how far to shrink them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg.blas import dsyrk

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory.spectrum._blocks import location_and_variance, standardized_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._groups import Float

Shrinkage: TypeAlias = Literal["ledoit-wolf"] | None


@dataclass(frozen=True, eq=False)
class SampleCorrelation:
    """Correlation of the genes in some cells, as it is; the blocks of its cells can be had
    again.
    """

    matrix: Any
    """Expression of all cells (n, d)."""
    rows: NDArray[np.int64]
    """Cells of positive weight (m,)."""
    mean: Float
    """Mean of every gene (d,)."""
    scale: Float
    """Inverse standard deviation of every gene, 0 for one that does not vary (d,)."""

    correlation: Float
    """Unit diagonal (d, d)."""
    sizes: Float
    """Squared length of every standardised cell of positive weight (m,)."""
    weights: Float
    """Their weights (m,)."""
    n_constant: int
    """Genes that do not vary; they are uncorrelated with all others."""

    @property
    def n(self) -> float:
        """Number of cells, counted by their weights."""
        return float(self.weights.sum())

    def sizes_without(self, directions: Float) -> Float:
        """Squared lengths of the standardised cells outside the span of some orthonormal directions
        (d, k).
        """
        sizes = np.empty(self.rows.size)
        for part, block in self._blocks():
            inside = block @ directions
            sizes[part] = np.maximum(self.sizes[part] - np.einsum("ij,ij->i", inside, inside), 0.0)
        return sizes

    def _blocks(self) -> Iterator[tuple[slice, Float]]:
        return standardized_blocks(self.matrix, self.rows, self.mean, self.scale)

    def intensity(self) -> float:
        """Ledoit and Wolf's (2004) share of the identity that minimises the expected squared error,
        in [0, 1].
        """
        d = len(self.correlation) - self.n_constant
        fourth = float(self.weights @ self.sizes**2) / self.n
        squared = float(np.vdot(self.correlation, self.correlation)) - self.n_constant
        distance = squared - d
        error = min((fourth - squared) / self.n, distance)
        return max(error, 0.0) / distance if distance > 0 else 0.0


def gene_correlation(
    matrix: Any, *, weights: ArrayLike | None = None, shrinkage: Shrinkage = "ledoit-wolf"
) -> tuple[Float, float]:
    """Correlation matrix of genes, shrunk towards the identity.

    Shrinkage is ``(1 - rho) R + rho I`` with the intensity rho of Ledoit and Wolf (2004) for
    standardised genes. Cells are standardised and accumulated in blocks: dense are a few blocks of
    8 MB and the (d, d) result, never the matrix. With no more cells than genes the sample
    correlation has at most n - 1 non-zero eigenvalues, and only shrinkage makes it invertible.

    Parameters
    ----------
    matrix
        Normalised expression (n, d): sparse, dense, or the matrix of :func:`normalize_counts`.
    weights
        How often each cell counts (n,), at least 0: ``np.bincount(resampled, minlength=n)`` is a
        bootstrap sample. All once if None.
    shrinkage
        ``"ledoit-wolf"``, or None for the sample correlation itself.

    Returns
    -------
    correlation
        Unit diagonal (d, d). A gene that does not vary in these cells is uncorrelated with all
        others.
    intensity
        rho in [0, 1]; 0 without shrinkage.

    Raises
    ------
    ConfigError
        There is no such shrinkage.
    DataError
        The matrix is no finite (n, d) matrix, the weights do not fit, fewer than two cells count,
        or no gene varies.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import gene_correlation
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 4)) + rng.normal(size=(50, 1))
    >>> correlation, intensity = gene_correlation(X)
    >>> correlation.shape, 0 < intensity < 1
    ((4, 4), True)
    """
    check_shrinkage(shrinkage)
    sample = sample_correlation(matrix, weights)
    if shrinkage is None:
        return sample.correlation, 0.0
    rho = sample.intensity()
    shrunk = sample.correlation
    shrunk *= 1 - rho
    np.fill_diagonal(shrunk, 1.0)
    return shrunk, rho


def check_shrinkage(shrinkage: Shrinkage) -> None:
    """Refuse an unknown shrinkage."""
    if shrinkage not in ("ledoit-wolf", None):
        message = f"shrinkage is {shrinkage!r}; needed is 'ledoit-wolf' or None."
        raise ConfigError(message)


def sample_correlation(matrix: Any, weights: ArrayLike | None = None) -> SampleCorrelation:
    """Correlation of the genes, and the size of every cell; see :func:`gene_correlation`."""
    matrix = _rows_of(matrix)
    n, d = matrix.shape
    w = _check_weights(weights, n)
    rows = np.flatnonzero(w)
    w = w[rows]
    with np.errstate(invalid="ignore"):  # what is not finite is refused below
        mean, variance = location_and_variance(matrix, rows, w)
    varies = variance > 0
    if not np.isfinite(variance).all() or not varies.any():
        message = f"{int(varies.sum())} of {d} genes have a finite, positive variance in these cells; at least one must and all be finite."
        raise DataError(message)
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    gram, sizes = np.zeros((d, d), order="F"), np.empty(rows.size)
    for part, block in standardized_blocks(matrix, rows, mean, scale):
        sizes[part] = np.einsum("ij,ij->i", block, block)
        block *= np.sqrt(w[part, None])
        gram = dsyrk(1 / w.sum(), block.T, beta=1.0, c=gram, overwrite_c=True)  # fills the upper triangle
    return SampleCorrelation(matrix, rows, mean, scale, _symmetric(gram), sizes, w, d - int(varies.sum()))


def _symmetric(upper: Float) -> Float:
    """Fill the lower triangle and set the diagonal to 1, in place."""
    for i in range(len(upper)):
        upper[i:, i] = upper[i, i:]
        upper[i, i] = 1.0
    return upper.T  # the same matrix, in C order


def _rows_of(matrix: Any) -> Any:
    if sparse.issparse(matrix):
        matrix = sparse.csr_array(matrix)
    elif not hasattr(matrix, "shape"):
        matrix = np.asarray(matrix)
    if len(matrix.shape) != 2 or matrix.shape[1] == 0:
        message = f"The matrix has shape {matrix.shape}; needed is cells x genes."
        raise DataError(message)
    return matrix


def _check_weights(weights: ArrayLike | None, n: int) -> Float:
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if w.shape != (n,) or not np.isfinite(w).all() or (w < 0).any():
        message = f"The weights have shape {w.shape}; needed are {n} finite weights of at least 0, one for each cell."
        raise DataError(message)
    if np.count_nonzero(w) < 2:
        message = f"{np.count_nonzero(w)} of {n} cells count; at least two are needed."
        raise DataError(message)
    return w
