"""Control methods of denoising: the counts as they are, one profile for all, and linear models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from r2mae_bio._errors import ConfigError
from r2mae_bio.evaluate._chunks import chunks
from r2mae_bio.evaluate.methods._embedder import FittedDenoiser, all_measured
from r2mae_bio.evaluate.methods._log_normalize import check_measured, gene_share, take_measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["FittedProfile", "LinearDenoiser", "MeanProfile", "NoDenoising", "as_denoiser"]

Floats = NDArray[np.float64]
SMALLEST_SHARE = 1e-6
"""Share of the training counts below which a panel says nothing about the depth of a cell."""


@dataclass(frozen=True)
class NoDenoising:
    """The counts themselves, drawn a little towards the mean profile, so that a gene without a
    count is rare and not impossible.
    """

    pseudocount: float = 1.0
    """Counts per cell that are spread over the mean profile of the training cells."""
    name: str = "no denoising"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedProfile:
        """The mean profile of counts (n_cells, n_genes); ``seed`` is not needed."""
        return FittedProfile(gene_share(counts), self.pseudocount)


@dataclass(frozen=True)
class MeanProfile:
    """The mean profile of the training cells, at the depth of each cell: what is known without
    looking at the cell.
    """

    name: str = "mean profile"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedProfile:
        """The mean profile of counts (n_cells, n_genes); ``seed`` is not needed."""
        return FittedProfile(gene_share(counts), np.inf)


@dataclass(frozen=True)
class FittedProfile:
    """A trained :class:`NoDenoising` or :class:`MeanProfile`."""

    share_g: Floats = field(repr=False)
    """Share of the training counts per gene (n_genes,), summing to 1."""
    pseudocount: float
    """Counts of the mean profile that are added to a cell; infinite if its own counts do not
    matter.
    """

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts (n_cells, n_genes); see :meth:`FittedDenoiser.rates`."""
        measured = check_measured(measured, len(self.share_g))
        depth = own_depth(counts, measured, self.share_g)
        own = depth[:, None] * self.share_g
        own[:, measured] = take_measured(counts, measured).toarray()
        return _mixed(own, depth, self.share_g, self.pseudocount)


@runtime_checkable
class Reconstructor(Protocol):
    """A linear model of log-normalised expression, such as :class:`LinearGaussian`."""

    def reconstruct(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Floats:
        """Expected log-normalised expression (n_cells, n_genes)."""
        ...


@dataclass(frozen=True)
class LinearDenoiser:
    """A linear model of log-normalised expression, taken back to counts.

    The reconstruction is clipped at zero, the logarithm undone, and each gene multiplied by a
    constant that gives it the right total over the training cells: the exponential of an expected
    logarithm is too small. Profiles are scaled to the depth of the cell and drawn towards the mean
    profile as by :class:`NoDenoising`.
    """

    model: Reconstructor = field(repr=False)
    """The trained model."""
    share_g: Floats = field(repr=False)
    """Share of the training counts per gene (n_genes,)."""
    factor_g: Floats = field(repr=False)
    """Constant per gene (n_genes,)."""
    pseudocount: float = 1.0
    """Counts per cell that are spread over the mean profile."""

    @classmethod
    def of(cls, model: Reconstructor, counts: SparseCounts) -> LinearDenoiser:
        """Take the constants from the training counts (n_cells, n_genes)."""
        share = gene_share(counts)
        raw = cls(model, share, np.ones(len(share)), 0.0)
        predicted = sum(part.sum(axis=0, dtype=np.float64) for part in raw._parts(counts, all_measured(counts)))
        observed = share * counts.sum()
        factor = np.divide(observed, predicted, out=np.ones(len(share)), where=np.asarray(predicted) > 0)
        return cls(model, share, factor)

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts (n_cells, n_genes); see :meth:`FittedDenoiser.rates`."""
        measured = check_measured(measured, len(self.share_g))
        return np.concatenate([np.zeros((0, len(self.share_g)), np.float32), *self._parts(counts, measured)])

    def _parts(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Iterator[NDArray[np.float32]]:
        for some in chunks(counts.shape[0]):
            part = counts[some]
            profile = np.expm1(np.maximum(self.model.reconstruct(part, measured), 0)) * self.factor_g
            total, depth = profile.sum(axis=1), own_depth(part, measured, self.share_g)
            scale = np.divide(depth, total, out=np.zeros_like(total), where=total > 0)
            yield _mixed(profile * scale[:, None], depth, self.share_g, self.pseudocount)


def as_denoiser(name: str, fitted: Any, counts: SparseCounts) -> FittedDenoiser:
    """A trained method that gives expected counts, directly or through its linear reconstruction.

    Raises
    ------
    ConfigError
        It can do neither.
    """
    if isinstance(fitted, FittedDenoiser):
        return fitted
    if isinstance(fitted, Reconstructor):
        return LinearDenoiser.of(fitted, counts)
    message = f"The method {name!r} gives no expected counts; denoising needs methods whose fit has rates(counts, measured)."
    raise ConfigError(message)


def own_depth(counts: SparseCounts, measured: NDArray[np.bool_], share_g: Floats) -> Floats:
    """Counts that a cell would have over all genes (n_cells,): its total over the measured ones,
    divided by their share.
    """
    total = np.asarray(take_measured(counts, measured).sum(axis=1), dtype=np.float64).ravel()
    return total / max(float(share_g[measured].sum()), SMALLEST_SHARE)


def _mixed(own: Floats, depth: Floats, share_g: Floats, pseudocount: float) -> NDArray[np.float32]:
    """The ``own`` counts of cells with ``pseudocount`` counts of the mean profile added, scaled
    back to the depth.
    """
    weight = 0.0 if np.isinf(pseudocount) else depth / np.maximum(depth + pseudocount, 1e-12)
    weight_c = np.broadcast_to(weight, depth.shape)[:, None]
    return np.asarray(weight_c * own + (1 - weight_c) * depth[:, None] * share_g, dtype=np.float32)
