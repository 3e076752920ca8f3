"""States of sequences, pooled, of both strands, and of untrained networks."""

from __future__ import annotations

import numpy as np
import torch

from r2mae_bio.config import DNAConfig
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.evaluate import pool_states
from r2mae_bio.evaluate.methods._sequence_states import NetworkModel, untrained_form
from r2mae_bio.io import encode_bases, reverse_complement

from ..conftest import BaseStates, draw


def test_pooled_states_of_bases_are_shares_and_presence():
    codes = [encode_bases("ACGTACGTACGTACGTACGTACGTAAAA"), encode_bases("CCCCCCCCC")]
    pooled = pool_states(BaseStates(), codes)
    np.testing.assert_allclose(pooled["mean"], [[10 / 28, 6 / 28, 6 / 28, 6 / 28], [0, 1, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(pooled["max"], [[1, 1, 1, 1], [0, 1, 0, 0]])
    np.testing.assert_array_equal(pooled["mean+max"], np.concatenate([pooled["mean"], pooled["max"]], axis=1))
    assert "bins" not in pooled
    bins = pool_states(BaseStates(), [encode_bases("AACCGGTTAACCGGTT")])["bins"].reshape(8, 4)
    np.testing.assert_array_equal(bins, np.tile(np.eye(4), (2, 1)))


def test_a_network_of_the_package_is_built_anew_with_other_weights():
    config = DNAConfig(d_model=8, n_layers=1, n_heads=2)
    model = NetworkModel(DNAMaskedAutoencoder(config), window=16)
    ones, same, others = (untrained_form(model, seed).network.state_dict() for seed in (0, 0, 1))
    assert ones.keys() == model.network.state_dict().keys()
    assert all(torch.equal(ones[name], same[name]) for name in ones)
    assert not torch.equal(ones["stem.weight"], others["stem.weight"])
    assert not torch.equal(ones["stem.weight"], model.network.state_dict()["stem.weight"])


def test_states_of_both_strands_turn_with_the_sequence():
    network = DNAMaskedAutoencoder(DNAConfig(d_model=8, n_layers=1, n_heads=2))
    model, codes = NetworkModel(network, window=16), draw(n=2, length=12)
    both = model.states(codes)
    np.testing.assert_allclose(both, model.states(reverse_complement(codes))[:, ::-1], atol=1e-5)
    assert not np.allclose(both, model.states(codes, strand="+"), atol=1e-3)
