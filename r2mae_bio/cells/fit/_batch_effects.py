"""Fitting batch effects in latent space, to reference batches and later to those of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.network._batch_effects import SHARPNESS, BatchEffects, taken_off

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["add_batches", "enough_cells", "fit_batch_effects"]

MOST_CLUSTERS, CELLS_PER_CLUSTER = 100, 30
"""As in Harmony."""
DIVERSITY = 0.5
"""Power of expected over found in the memberships: draws cells to neighbourhoods in which their
batch is rare. Harmony takes 2, which also mixes cell types that only one batch has.
"""
PRIOR_CELLS, MOST_PRIOR_CELLS = 2.0, 1e6
"""Cells that the offset of a neighbourhood must outweigh to differ from the batch's shift, at least
and at most.
"""
FEWEST_CELLS = 10
"""A new batch of fewer cells stays where it is: their own scatter is too small to tell what chance
explains.
"""
LEAST_OCCUPIED = 0.4
"""A new batch whose cells lie in a smaller share of the neighbourhoods (their effective number, the
exponential of the entropy) stays where it is: of a batch of few cell types nobody can say what is
the batch and what the type. Batches above it may also begin with their mean on the reference's.
"""
FEWEST_NEIGHBOURHOODS = 3
"""On a reference of fewer, new batches stay where they are: so few do not tell types apart, and a
batch of one type may fill them all.
"""
_MOST_CELLS = 20_000
"""Cells from which it is estimated what a batch adds; more do not move that, and each would take 3
KB while it is.
"""
_ROUNDS, _STEPS, _DAMPING = 15, 8, 0.3
_STILL = 1e-3
"""Mean change of corrected vectors between rounds, as a share of their size, below which fitting
stops.
"""


def fit_batch_effects(
    latent: NDArray[np.float32], batch: NDArray[np.int64], n_batches: int, generator: np.random.Generator
) -> BatchEffects:
    """Find neighbourhoods that all batches share, and what each batch adds in them.

    Alternates, as Harmony does, between memberships of cells (soft k-means on directions, with a
    preference for neighbourhoods of mixed batches) and ridge regression of latent vectors on the
    batch within each neighbourhood. Offsets of a batch are shrunk towards its mean offset over
    neighbourhoods, not towards zero: where a batch has few cells, what it adds elsewhere is the
    better guess.

    Parameters
    ----------
    latent
        Latent vectors (N, Z).
    batch
        Number of each cell's batch (N,).
    n_batches
        Number of batches B.
    generator
        Starts k-means.

    Returns
    -------
    The effects, float32.
    """
    z, numbers = torch.from_numpy(np.asarray(latent, np.float64)), torch.from_numpy(np.asarray(batch, np.int64))
    n_clusters = max(1, min(MOST_CLUSTERS, len(z) // CELLS_PER_CLUSTER))
    effects = BatchEffects(n_batches, n_clusters, z.shape[1]).double()
    effects.centre.copy_(z.mean(0))
    raw, member = z - effects.centre, F.one_hot(numbers, n_batches).double()
    effects.centroids.copy_(_k_means(raw, n_clusters, generator))
    corrected = raw
    for _ in range(_ROUNDS):
        _settle(effects, corrected, numbers, member)
        shares = effects.memberships(corrected, numbers)
        _solve(effects, raw, shares, member)
        before, corrected = corrected, effects(z, numbers) - effects.centre
        if (corrected - before).abs().mean() <= _STILL * raw.abs().mean():
            break
    effects.means.copy_(_means(corrected, effects.memberships(corrected, numbers)))
    return effects.float()


def add_batches(effects: BatchEffects, latent: NDArray[np.float32], batch: NDArray[np.int64], n_batches: int) -> BatchEffects:
    """Effects of further batches, found by laying their cells on the neighbourhoods as they are.

    Parameters
    ----------
    effects
        Of the reference; it stays as it is.
    latent
        Latent vectors of the new cells (N, Z).
    batch
        Number of each cell's batch among the new ones, from 0 (N,).
    n_batches
        Number of new batches.

    Returns
    -------
    Effects of old and new batches, in this order; those of the old ones are bit-equal, those of new
    ones with fewer than :data:`FEWEST_CELLS` cells, in few neighbourhoods
    (:data:`LEAST_OCCUPIED`), or on a reference of few (:data:`FEWEST_NEIGHBOURHOODS`), zero.
    """
    n_old, n_clusters, n_latent = effects.offsets.shape
    device = effects.centre.device
    grown = BatchEffects(n_old + n_batches, n_clusters, n_latent).to(device)
    for name, value in effects.state_dict().items():
        buffer = grown.get_buffer(name)
        buffer[: len(value)] = value
    if n_clusters < FEWEST_NEIGHBOURHOODS:
        return grown
    for number in np.flatnonzero(np.bincount(batch, minlength=n_batches) >= FEWEST_CELLS).tolist():
        cells = np.flatnonzero(batch == number)
        cells = cells[enough_cells(len(cells), derive_generator(number, "cells of a new batch"))]
        raw = torch.from_numpy(np.asarray(latent[cells], np.float64)) - effects.centre.cpu().double()
        shift, offsets = _lay_on(effects, raw)
        grown.shifts[n_old + number] = shift.to(grown.shifts)
        grown.offsets[n_old + number] = offsets.to(grown.offsets)
    return grown


def enough_cells(n_cells: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions, in order, of the cells from which it is estimated what a batch adds.

    Parameters
    ----------
    n_cells
        Number of cells to draw from.
    generator
        Draws them.
    """
    return np.sort(generator.permutation(n_cells)[:_MOST_CELLS])


def _k_means(raw: Tensor, n_clusters: int, generator: np.random.Generator) -> Tensor:
    """Directions (K, Z) to start from."""
    from sklearn.cluster import KMeans

    means = KMeans(n_clusters, n_init=3, random_state=int(generator.integers(2**31)))
    return F.normalize(torch.from_numpy(means.fit(F.normalize(raw, dim=1).numpy()).cluster_centers_), dim=1)


def _settle(effects: BatchEffects, corrected: Tensor, batch: Tensor, member: Tensor) -> None:
    """Memberships, odds and centroids of corrected vectors that stay where they are."""
    directions, share = F.normalize(corrected, dim=1), member.mean(0)
    for _ in range(_STEPS):
        memberships = effects.memberships(corrected, batch)
        found = member.T @ memberships  # (B, K)
        odds = DIVERSITY * torch.log((share[:, None] * memberships.sum(0) + 1) / (found + 1))
        effects.log_odds.lerp_(odds, _DAMPING)  # undamped, cells would swing between neighbourhoods
        effects.centroids.copy_(F.normalize(effects.memberships(corrected, batch).T @ directions, dim=1))


def _solve(effects: BatchEffects, raw: Tensor, shares: Tensor, member: Tensor) -> None:
    """Shifts and offsets, given memberships (N, K)."""
    found = member.T @ shares  # (B, K)
    total = found.sum(0)
    free = _regress(raw, shares, member, 1.0)
    weight = found * (total - found) / total.clamp(min=1e-9)  # what a neighbourhood tells of a batch against the others
    shift = (weight[..., None] * free).sum(1) / weight.sum(1).clamp(min=1e-9)[:, None]
    effects.shifts.copy_(shift)
    effects.offsets.copy_(shift[:, None] + _regress(raw - member @ shift, shares, member, PRIOR_CELLS))


def _regress(raw: Tensor, shares: Tensor, member: Tensor, prior: float) -> Tensor:
    """Ridge coefficients (B, K, Z) of the batches within each neighbourhood, beside an intercept
    that is not shrunk.
    """
    design = torch.cat([torch.ones(len(raw), 1, dtype=raw.dtype), member], 1)
    ridge = torch.diag(torch.tensor([1e-9] + [prior] * member.shape[1], dtype=raw.dtype))
    solutions = []
    for share in shares.T:
        weighted = design * share[:, None]
        solutions.append(torch.linalg.solve(weighted.T @ design + ridge, weighted.T @ raw)[1:])
    return torch.stack(solutions, 1)


@dataclass(frozen=True, eq=False)
class _Laid:
    """A batch laid on neighbourhoods."""

    shift: Tensor
    """What it adds on average (Z,)."""
    offsets: Tensor
    """What it adds in each neighbourhood (K, Z)."""
    scatter: float
    """Mean squared distance to the neighbourhoods' means that is left."""
    occupied: float
    """Effective share of the neighbourhoods in which its cells lie."""


def _lay_on(effects: BatchEffects, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Shift (Z,) and offsets (K, Z) of one batch of centred latent vectors; zero where it lies in
    too few neighbourhoods.

    Memberships start where the cells are. Starting with the batch's mean on that of the reference
    would take a batch of few cell types for a shift, and move it onto other types; it is tried
    where the cells lie in many neighbourhoods from the start.
    """
    means, centroids = effects.means.cpu().double(), effects.centroids.cpu().double()
    found = _iterate(raw, means, centroids, torch.zeros_like(raw[0]))
    if _occupied(_shares(raw, centroids)) > LEAST_OCCUPIED:
        other = _iterate(raw, means, centroids, raw.mean(0) - means.mean(0))
        found = min(found, other, key=lambda laid: laid.scatter)
    if found.occupied < LEAST_OCCUPIED:
        return torch.zeros_like(found.shift), torch.zeros_like(found.offsets)
    return found.shift, found.offsets


def _iterate(raw: Tensor, means: Tensor, centroids: Tensor, shift: Tensor) -> _Laid:
    """Offsets and memberships in turn, from a shift (Z,); judged as a cell by itself is corrected,
    which may end elsewhere.
    """
    corrected, offsets = raw - shift, shift.expand_as(means)
    for _ in range(_ROUNDS):
        shares = _shares(corrected, centroids)
        scatter = _scatter(corrected, shares, _means(corrected, shares))
        shift, offsets = _shrunk(raw, shares, means, scatter)
        corrected = raw - shares @ offsets
    corrected = taken_off(raw, shift, lambda corrected: _shares(corrected, centroids) @ offsets)
    shares = _shares(corrected, centroids)
    return _Laid(shift, offsets, float(_scatter(corrected, shares, means)), _occupied(shares))


def _shares(corrected: Tensor, centroids: Tensor) -> Tensor:
    """Memberships (N, K) of a batch that is expected everywhere alike."""
    return torch.softmax(SHARPNESS * F.normalize(corrected, dim=1) @ centroids.T, 1)


def _occupied(shares: Tensor) -> float:
    """Effective share of the neighbourhoods in which cells of memberships (N, K) lie."""
    return float(torch.special.entr(shares.mean(0)).sum().exp() / shares.shape[1])


def _shrunk(raw: Tensor, shares: Tensor, means: Tensor, scatter: Tensor) -> tuple[Tensor, Tensor]:
    """Shift (Z,) and offsets (K, Z), each believed as far as it exceeds what chance explains
    (empirical Bayes, by moments).

    ``scatter`` is the mean squared distance of a cell to the mean of its neighbourhood, so a mean
    over n cells owes ``scatter / n`` to chance. Queries are often small, and one that differs in
    nothing should stay where it is.
    """
    found = shares.sum(0)[:, None]
    n_cells, n_clusters = found.sum(), len(means)
    free = (shares.T @ raw - found * means) / (found + 1)
    mean = (found * free).sum(0) / n_cells
    shift = mean * (1 - scatter / n_cells / (mean**2).sum().clamp(min=1e-12)).clamp(min=0)
    variance = ((found * (free - mean) ** 2).sum() - n_clusters * scatter) / n_cells  # of true offsets around their mean
    prior = (scatter / variance.clamp(min=1e-12)).clamp(PRIOR_CELLS, MOST_PRIOR_CELLS)
    above = (shares.T @ raw - found * (means + shift)) / (found + prior)
    return shift, shift + above


def _means(corrected: Tensor, shares: Tensor) -> Tensor:
    """Mean vectors of neighbourhoods (K, Z)."""
    return shares.T @ corrected / shares.sum(0).clamp(min=1e-9)[:, None]


def _scatter(corrected: Tensor, shares: Tensor, means: Tensor) -> Tensor:
    """Mean squared distance of a cell to the mean of its neighbourhoods."""
    return ((corrected - shares @ means) ** 2).sum(1).mean()
