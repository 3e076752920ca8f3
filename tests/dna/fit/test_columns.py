"""What columns say without a network: fits, weights and floors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._columns import ColumnStart, fit_readout, position_weights, sample_columns
from r2mae_bio.dna.fit._loader import window_loaders
from r2mae_bio.dna.network._columns import ColumnReading
from r2mae_bio.errors import DataError
from r2mae_bio.io import Genome, split_genome

from ..toy_alignment import write_alignment


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 8000))
    (folder / "genome.fa").write_text(f">chr1\n{text[:7000]}\n>chr2\n{text[7000:]}\n>empty\n{'N' * 300}\n")
    genome = Genome(folder / "genome.fa", cache_dir=folder / "cache")
    alignment, expected = write_alignment(folder, genome)
    return genome, AlignedColumns(alignment, genome), expected


def test_a_sample_is_of_positions_of_the_intervals_on_both_strands(case):
    genome, columns, expected = case
    part = split_genome(genome, validation=["chr2"], train=["chr1"]).train
    context, targets = sample_columns(genome, part, columns, seed=0, n=2000)
    assert context.shape == (4000, 3)
    bases = np.array(["ACGT".index(base) for base in genome.fetch("chr1")])
    pairs = {(*column, base) for column, base in zip(expected["chr1"].tolist(), bases.tolist(), strict=True)}
    found = [(*column, base) for column, base in zip(context[:2000].tolist(), targets[:2000].tolist(), strict=True)]
    assert set(found) <= pairs
    assert torch.equal(targets[2000:], 3 - targets[:2000])
    assert torch.equal(context[2000:], torch.where(context[:2000] < 4, 3 - context[:2000], context[:2000]))
    again = sample_columns(genome, part, columns, seed=0, n=2000)
    assert torch.equal(again[0], context)


def test_unknown_bases_alone_are_refused(case):
    genome, columns, _ = case
    nothing = split_genome(genome, validation=None, train=["empty"]).train
    with pytest.raises(DataError, match="None of 10 bases"):
        sample_columns(genome, nothing, columns, seed=0, n=10)


def test_a_fit_finds_the_probabilities_that_columns_were_drawn_with():
    """One species whose letter is the base in 70 of 100 columns."""
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 4, 40_000)
    bases = np.where(rng.random(letters.size) < 0.6, letters, rng.integers(0, 4, letters.size))
    reading = ColumnReading(1, 1)
    fit_readout(reading, torch.from_numpy(letters[:, None]), torch.from_numpy(bases))
    with torch.no_grad():
        found = reading.readout(torch.arange(4)[:, None]).softmax(-1)
    torch.testing.assert_close(found, 0.1 + 0.6 * torch.eye(4), atol=0.015, rtol=0)


def test_a_fit_begins_at_the_shares_and_only_improves(case):
    genome, columns, _ = case
    context, targets = sample_columns(genome, split_genome(genome, validation=["chr2"]).train, columns, seed=0, n=3000)
    reading = ColumnReading(3, 1)
    before = F.cross_entropy(reading.readout(context), targets).item()
    fit_readout(reading, context, targets)
    assert F.cross_entropy(reading.readout(context), targets).item() < 0.8 * before


def test_species_that_are_alike_share_their_weight():
    """Two that always agree and one that never does: a column has two bases, each a half."""
    context = np.tile([[0, 0, 1]], (50, 1))
    torch.testing.assert_close(position_weights(context), torch.tensor([0.25, 0.25, 0.5]) * 3)
    context[:25, 2] = 5  # a gap has no weight
    torch.testing.assert_close(position_weights(context), torch.tensor([0.375, 0.375, 0.25]) * 3)


def test_floors_are_means_over_the_windows_that_the_model_is_judged_on(case):
    genome, columns, expected = case
    split = split_genome(genome, train=["chr1"], validation=["chr2"])
    loaders = window_loaders(genome, split, window=50, batch_size=8, columns=columns)
    start = ColumnStart(genome, split, columns, seed=0)
    floors = start.floors(loaders)
    bases = np.array(["ACGT".index(base) for base in genome.fetch("chr2")])
    counts = np.stack([(expected["chr2"] == base).sum(1) for base in range(4)], 1) + 0.5
    nats = -np.log((counts / counts.sum(1, keepdims=True))[np.arange(bases.size), bases])
    assert floors["columns"] == pytest.approx(nats.mean(), rel=1e-5)
    assert floors["column readout"] < floors["columns"]
    assert floors["weighted columns"] != floors["columns"]
    again = ColumnStart(genome, split, columns, seed=0)
    assert all(
        torch.equal(a, b) for a, b in zip(start.reading.readout_parameters(), again.reading.readout_parameters(), strict=True)
    )
