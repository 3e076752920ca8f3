"""A panel's share of a cell's counts is that of the cell, as its factors tell, not of an average
one.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from r2mae_bio.cells.network._panel_depth import RootUnits
from r2mae_bio.cells.network._read import LeastSquaresRead
from r2mae_bio.tokens import TokenBatch

N_GENES, N_FACTORS = 200, 3


@pytest.fixture(scope="module")
def world():
    """Cells that are exactly what a factor analysis of roots says, and its read, float64."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(4, 12, N_GENES)
    loadings = rng.normal(size=(N_GENES, N_FACTORS)) * 0.15
    loadings[:40, 0] += 0.1 * mean[:40]  # genes of a panel that rise together
    loadings -= mean[:, None] * (mean @ loadings) / (mean @ mean)  # while the whole cell stays as large
    factors = rng.normal(size=(60, N_FACTORS))
    roots = mean + factors @ loadings.T
    depth = float((mean**2 + (loadings**2).sum(1)).sum())
    sd = np.sqrt((loadings**2).sum(1) + 0.05)
    counts = roots**2 * depth / (roots**2).sum(1, keepdims=True)  # all cells as deep as the average one
    read = LeastSquaresRead(N_GENES, N_FACTORS)
    with torch.no_grad():
        read.keys.copy_(torch.from_numpy(loadings / sd[:, None]))
        read.log_noise.copy_(torch.from_numpy(np.log(1e-3 / sd**2)))
    share = torch.from_numpy((mean**2 + (loadings**2).sum(1)) / depth)
    scale = torch.from_numpy(sd)
    units = RootUnits(torch.from_numpy(mean / sd), scale, share, torch.tensor(depth, dtype=torch.float64), 1e-6)
    return SimpleNamespace(read=read, units=units, counts=torch.from_numpy(counts), depth=depth)


def tokens_of(world, seen, counts=None):
    """Cells scaled by what they have of the genes seen (G,)."""
    counts = world.counts if counts is None else counts
    scale = world.depth * (world.units.share * seen).sum() / (counts * seen).sum(1, keepdim=True)
    content = ((counts * scale).sqrt() / world.units.sd - world.units.centre) * seen
    return content, TokenBatch(torch.arange(N_GENES)[None], content, seen[None], full=True)


def stretched(world, content, batch):
    return world.read.stretched(content, batch, world.units).factors


def first(n):
    return torch.arange(N_GENES) < n


@torch.no_grad()
def test_a_panel_is_read_as_the_whole_cell_is(world) -> None:
    whole = stretched(world, *tokens_of(world, first(N_GENES)))
    content, batch = tokens_of(world, first(40))
    plain, own = world.read.stretched(content, batch).factors, stretched(world, content, batch)
    lost = (plain - whole).abs().mean(0)[0]
    assert lost > 0.4  # of a factor whose standard deviation is 1: a panel that rises with it seems deep
    assert (own - whole).abs().mean() < 0.05
    assert (own - whole).abs().mean(0)[0] < lost / 10


@torch.no_grad()
def test_depth_does_not_move_a_cell(world) -> None:
    shallow = tokens_of(world, first(40), world.counts * torch.linspace(0.1, 3, 60)[:, None])
    usual = tokens_of(world, first(40))
    found, expected = (stretched(world, *cells) for cells in (shallow, usual))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_whole_cells_are_what_they_were(world) -> None:
    content, batch = tokens_of(world, first(N_GENES))
    assert torch.equal(world.read.stretched(content, batch).factors, stretched(world, content, batch))


@torch.no_grad()
def test_all_ways_of_reading_agree(world) -> None:
    content, batch = tokens_of(world, first(40))
    expected = stretched(world, content, batch)
    rows = replace(batch, visible=batch.visible.expand(60, -1))
    slots = TokenBatch(torch.arange(40)[None], content[:, :40], torch.ones(1, 40, dtype=torch.bool))
    own = replace(slots, ids=slots.ids.expand(60, -1), visible=slots.visible.expand(60, -1))
    torch.testing.assert_close(stretched(world, content, rows), expected)
    torch.testing.assert_close(stretched(world, content[:, :40], slots), expected)
    torch.testing.assert_close(stretched(world, content[:, :40], own), expected)
    seen = first(40).double()
    evidence = content @ world.read.weights(torch.float64, world.units)
    found = world.read.stretched_from(seen, world.units)(evidence)
    torch.testing.assert_close(found.factors, expected)


@torch.no_grad()
def test_each_row_has_a_panel_of_its_own(world) -> None:
    panels = torch.stack([first(40), first(90), first(N_GENES), first(0)])
    cells = [tokens_of(world, panel, world.counts[i : i + 1]) for i, panel in enumerate(panels)]
    contents = torch.cat([content.nan_to_num() for content, _ in cells])
    together = stretched(world, contents, TokenBatch(torch.arange(N_GENES)[None], contents, panels, full=True))
    for row, (content, batch) in enumerate(cells):
        alone = stretched(world, content.nan_to_num(), batch)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)
    assert (together[3] == 0).all()  # nothing seen is the average cell


def test_gradients_are_finite(world) -> None:
    content, batch = tokens_of(world, first(40))
    content = content.requires_grad_()
    rows = replace(batch, visible=torch.stack([first(40)] * 59 + [first(90)]))
    world.read.zero_grad()
    stretched(world, content, rows).square().sum().backward()
    for tensor in (content, *world.read.parameters()):
        assert tensor.grad.isfinite().all()
        assert (tensor.grad != 0).any()


@torch.no_grad()
def test_a_cell_that_the_model_does_not_know_stays_near(world) -> None:
    """Cells far from all others move the depth by a bounded factor."""
    strange = world.counts[:5].clone()
    strange[:, :3] *= 1e4
    found = stretched(world, *tokens_of(world, first(40), strange))
    assert found.isfinite().all()
