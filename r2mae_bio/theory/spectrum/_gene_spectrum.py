"""The spectrum of a data set: what the linear theory needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from r2mae_bio.theory.risk._decompose import Eigendecomposition
from r2mae_bio.theory.spectrum._normalize import normalize_counts
from r2mae_bio.theory.spectrum._shrinkage import check_shrinkage, sample_correlation
from r2mae_bio.theory.spectrum._spikes import marchenko_pastur_edge, noise_edge, power_law

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import Float
    from r2mae_bio.theory.spectrum._normalize import Normalization, NormalizedCounts
    from r2mae_bio.theory.spectrum._shrinkage import Shrinkage
    from r2mae_bio.theory.spectrum._spikes import NoiseEdge, PowerLaw

N_SCALES = 16
"""Nodes of the law of cell sizes."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues and eigenvectors of the correlation between genes, and what can be read off
    them.
    """

    genes: NDArray[np.int64]
    """Columns of the counts that were used, ascending (d,)."""
    values: Float
    """Eigenvalues of the correlation matrix after shrinkage, ascending, mean 1 (d,)."""
    vectors: Float
    """Eigenvectors in columns (d, d)."""
    sample_values: Float
    """Eigenvalues before shrinkage, ascending, mean 1; with fewer cells than genes at most
    ``n_cells - 1`` are not zero (d,).
    """
    shrinkage: float
    """Weight of the identity in [0, 1]:
    ``values = (1 - shrinkage) * sample_values + shrinkage``.
    """
    n_cells: int
    """Number of cells."""
    row_scales: Float
    """Scales of whole cells, equally likely, ascending, mean square 1 (16,): root mean square of
    the standardised genes of a cell, averaged (in square) over each sixteenth of the cells. The
    heavier its tail, the further the data are from Gaussian.
    """
    noise: NoiseEdge
    """Where noise ends; refers to ``sample_values``."""

    @property
    def eigen(self) -> Eigendecomposition:
        """The shrunk correlation matrix, for the risks of this package."""
        return Eigendecomposition(self.values, self.vectors)

    @property
    def n_features(self) -> int:
        """Number of genes d."""
        return self.values.size

    @property
    def effective_rank(self) -> float:
        """Participation ratio ``(sum v)^2 / sum v^2``, from 1 to d."""
        return self.eigen.effective_rank

    @property
    def entropy_rank(self) -> float:
        """Exponential of the entropy of ``v / sum v``, from 1 to d (Roy and Vetterli 2007)."""
        share = self.values[self.values > 0] / self.values.sum()
        return float(np.exp(-share @ np.log(share)))

    @property
    def decay(self) -> PowerLaw:
        """Power law through ``values`` over the ranks above the noise, 1 to ``n_spikes``."""
        return power_law(self.values, 1, self.n_spikes)

    @property
    def marchenko_pastur_edge(self) -> float:
        """Edge if all variance were noise, ``(1 + sqrt(d / n))^2``."""
        return marchenko_pastur_edge(self.n_cells, self.n_features)

    @property
    def edge(self) -> float:
        """Edge of the noise, with the variance that the spikes leave to each gene and for cells of
        unequal size.
        """
        return self.noise.edge

    @property
    def n_spikes(self) -> int:
        """Sample eigenvalues above the edge of the noise."""
        return self.noise.n_spikes

    @property
    def heavy_tail(self) -> float:
        """Excess variance of a cell's squared scale over that of Gaussian cells with this spectrum,
        ``2 / effective_rank``; at least 0.
        """
        fourth = float(np.mean(self.row_scales**4)) / (1 + 2 / self.effective_rank)
        return max(fourth - 1, 0.0)


def gene_spectrum(
    counts: Any,
    *,
    n_top_genes: int = 2000,
    normalization: Normalization = "log1p",
    shrinkage: Shrinkage = "ledoit-wolf",
) -> Spectrum:
    """Spectrum of the correlation between the variable genes of a data set.

    With no more cells than genes the sample correlation is rank-deficient: at least ``d - n + 1``
    of ``sample_values`` are zero, and only the shrinkage keeps ``values`` away from zero.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes), sparse or dense; a sparse matrix is never made dense.
    n_top_genes, normalization
        How genes are selected and normalised; see :func:`normalize_counts`.
    shrinkage
        ``"ledoit-wolf"`` or None; see :func:`gene_correlation`.

    Returns
    -------
    The spectrum.

    Raises
    ------
    ConfigError
        A setting is out of range.
    DataError
        The counts cannot be used; see :func:`normalize_counts`.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import gene_spectrum
    >>> rng = np.random.default_rng(0)
    >>> programme = rng.gamma(2.0, 1.0, (200, 1))
    >>> counts = rng.poisson(3 * programme ** (np.arange(30) < 10))
    >>> gene_spectrum(counts).n_spikes
    1
    """
    check_shrinkage(shrinkage)
    return spectrum_of(normalize_counts(counts, n_top_genes=n_top_genes, normalization=normalization), shrinkage=shrinkage)


def spectrum_of(normalized: NormalizedCounts, *, shrinkage: Shrinkage = "ledoit-wolf") -> Spectrum:
    """Spectrum of counts that are normalised already; see :func:`gene_spectrum`."""
    check_shrinkage(shrinkage)
    sample = sample_correlation(normalized.matrix)
    rho = 0.0 if shrinkage is None else sample.intensity()
    n, d = normalized.matrix.shape
    values, vectors = linalg.eigh(sample.correlation, overwrite_a=True, check_finite=False)
    values = np.maximum(values, 0.0)
    values *= d / values.sum()
    return Spectrum(
        genes=normalized.genes,
        values=(1 - rho) * values + rho,
        vectors=vectors,
        sample_values=values,
        shrinkage=rho,
        n_cells=n,
        row_scales=_scale_nodes(sample.sizes),
        noise=noise_edge(values, vectors, n, sample.sizes_without),
    )


def _scale_nodes(sizes: Float) -> Float:
    """Root mean square of equal shares of the ordered squared scales (16,); a cell on a border
    counts in both parts.
    """
    total = np.concatenate([[0.0], np.cumsum(np.sort(sizes))])
    borders = np.interp(np.linspace(0, sizes.size, N_SCALES + 1), np.arange(sizes.size + 1), total)
    square = np.maximum(np.diff(borders), 0.0)
    scales: Float = np.sqrt(square / square.mean())
    return scales
