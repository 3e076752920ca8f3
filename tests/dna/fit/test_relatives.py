"""Training on what other species have: shares, where nothing is aligned, and the start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig, TrainConfig
from r2mae_bio.dna._aligned import UNALIGNED
from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._batch import WindowBatch
from r2mae_bio.dna.fit._relatives import RelativesObjective, RelativesStart, relatives_shares
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.io import Genome, split_genome
from r2mae_bio.masking import draw_plan

from ..toy_alignment import write_alignment

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relatives")
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 8000))
    (folder / "genome.fa").write_text(f">chr1\n{text[:7000]}\n>chr2\n{text[7000:]}\n")
    genome = Genome(folder / "genome.fa", cache_dir=folder / "cache")
    alignment, _ = write_alignment(folder, genome)
    return RelativesStart(genome, split_genome(genome, validation=["chr2"]), AlignedColumns(alignment, genome), seed=0)


@pytest.fixture
def batch():
    generator = derive_generator(0, "columns")
    codes = torch.from_numpy(generator.integers(0, 5, (6, 30)).astype(np.uint8))
    columns = torch.from_numpy(generator.integers(0, 7, (6, 30, 3)).astype(np.uint8))
    columns[0] = UNALIGNED
    return WindowBatch(codes, columns=columns)


def test_shares_are_those_of_the_weights(start, batch):
    weights = start.readout.weights.numpy()
    shares, known = relatives_shares(start.readout, batch)
    for row, slot in ((1, 3), (4, 29), (0, 2)):
        counts = np.array([weights[batch.columns[row, slot].numpy() == base].sum() for base in range(4)])
        assert bool(known[row, slot]) == (counts.sum() > 0 and batch.codes[row, slot] < 4)
        np.testing.assert_allclose(shares[row, slot].numpy(), counts / max(counts.sum(), 1e-9), atol=1e-6)


def test_it_begins_at_substitutions_that_both_strands_share(start):
    table = start.readout.exchange.exp()
    torch.testing.assert_close(table.sum(1), torch.ones(5))
    torch.testing.assert_close(table[:4], table[:4].flip(0, 1), atol=1e-5, rtol=0)
    assert (table[:4].diagonal() > 0.75).all()


def test_what_is_not_aligned_counts_nothing(start, batch):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DNAMaskedAutoencoder(DNAConfig(**SIZES, n_species=3, target="relatives")).eval()
    network.relatives.start_at(start.readout.exchange, start.readout.weights)
    objective = RelativesObjective(start)
    plan = draw_plan(objective.valid(batch), np.full(6, 0.5), derive_generator(0, "plan"))
    score = objective.score(network, batch, plan)
    shares, known = relatives_shares(start.readout, batch)
    nats = -(shares * F.log_softmax(start.readout.exchange[batch.codes.long()], -1)).sum(-1)
    counted = plan.hidden & known
    torch.testing.assert_close(score.nats, (nats * counted).sum(1))
    assert torch.equal(score.weight, counted.sum(1).float())
    assert score.nats[0] == score.weight[0] == 0
    assert objective.blind(batch, plan).nats[1:].sum() > score.nats[1:].sum() * 0.5


def test_every_weight_that_is_trained_is_in_one_group(start):
    network = DNAMaskedAutoencoder(DNAConfig(**SIZES, n_species=3, target="relatives"))
    groups = RelativesObjective(start).parameter_groups(network, TrainConfig(max_epochs=1))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)
    assert [group["scale"] for group in groups] == [1.0, 1.0, 0.1]
