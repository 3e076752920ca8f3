"""What other species have, as the network reads it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio.config import DNAConfig
from r2mae_bio.dna._aligned import ASKED, N_SYMBOLS, UNALIGNED
from r2mae_bio.dna.network._columns import N_KINDS, ColumnReading, RelativesReadout, agreement, hide_species, log_shares
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.masking import draw_plan

S, B, L = 3, 4, 20
SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2, "attention_every": 2, "kernel": 3, "stem_kernel": 3}


@pytest.fixture
def context():
    return torch.from_numpy(np.random.default_rng(0).integers(0, N_SYMBOLS, (B, L, S)))


@pytest.fixture
def codes():
    return torch.from_numpy(np.random.default_rng(1).integers(0, 4, (B, L)))


def network(seed=0, **settings):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        made = DNAMaskedAutoencoder(DNAConfig(**SIZES, n_species=S, **settings)).eval()
        torch.nn.init.normal_(made.head.weight)  # it begins at zero, where nothing moves its logits
    return made


def test_shares_are_counts_with_a_pseudocount():
    found = log_shares(torch.tensor([[0, 0, 3], [5, 6, 4]])).exp()
    torch.testing.assert_close(found, torch.tensor([[2.5, 0.5, 0.5, 1.5], [1.25] * 4]) / 5)
    weighted = log_shares(torch.tensor([[0, 0, 3]]), torch.tensor([1.0, 0.5, 1.5]), pseudo=1.0).exp()
    torch.testing.assert_close(weighted, torch.tensor([[2.5, 1, 1, 2.5]]) / 7)


def test_a_sum_over_species_has_a_row_for_each_symbol(context, codes):
    reading = ColumnReading(S, 5)
    with torch.no_grad():
        reading.readout_letters.normal_()
    one_hot = torch.nn.functional.one_hot(context, N_SYMBOLS).float().flatten(-2)
    expected = one_hot @ reading.letters + log_shares(context) @ reading.shares.weight.T
    kinds = torch.nn.functional.one_hot(agreement(context, codes), N_KINDS).float().flatten(-2)
    torch.testing.assert_close(reading(context, codes), expected + kinds @ reading.agreement)
    expected = one_hot @ reading.readout_letters + log_shares(context)
    torch.testing.assert_close(reading.readout(context), expected)
    other = ColumnReading(S, 2)
    other.start_at(reading)
    torch.testing.assert_close(other.readout(context), reading.readout(context), rtol=0, atol=0)


def test_species_agree_with_the_base_or_with_one_another():
    columns = torch.tensor([[0, 1, 1, 4, 5, 6]]).expand(3, -1)
    assert agreement(columns, torch.tensor([0, 2, 4])).tolist() == [[0, 1, 1, 1, 2, 3], [1, 1, 1, 1, 2, 3], [1, 0, 0, 1, 2, 3]]


def test_an_untrained_network_says_the_shares_of_each_column(context, codes):
    made = DNAMaskedAutoencoder(DNAConfig(**SIZES, n_species=S))
    logits = made(base_tokens(torch.cat([codes[..., None], context], -1)))
    torch.testing.assert_close(logits.softmax(-1), log_shares(context).exp())


@pytest.mark.parametrize("hiding", ["replace", "drop"])
def test_context_is_read_where_bases_are_hidden_and_hidden_bases_are_not(context, codes, hiding):
    made = network(hiding=hiding)
    plan = draw_plan(torch.ones(B, L, dtype=torch.bool), np.full(B, 0.5), np.random.default_rng(2))
    tokens = base_tokens(torch.cat([codes[..., None], context], -1))
    before = made(tokens.hide(plan))
    other = torch.where(plan.hidden, 3 - codes, codes)
    after = made(base_tokens(torch.cat([other[..., None], context], -1)).hide(plan))
    assert torch.equal(before, after), "a hidden base reaches a prediction"
    moved = context.clone()
    moved[plan.hidden] = (moved[plan.hidden] + 1) % N_SYMBOLS
    assert (made(base_tokens(torch.cat([codes[..., None], moved], -1)).hide(plan)) != before)[plan.hidden].any(-1).all()


@pytest.mark.parametrize("hiding", ["replace", "drop"])
def test_without_a_context_nothing_is_aligned(codes, hiding):
    made = network(hiding=hiding)
    nothing = torch.full((B, L, S), UNALIGNED)
    assert torch.equal(made(base_tokens(codes)), made(base_tokens(torch.cat([codes[..., None], nothing], -1))))


def test_the_nearest_species_are_hidden_where_the_base_is(context):
    hidden = torch.zeros(B, L, dtype=torch.bool)
    hidden[:, ::2] = True
    found = hide_species(context, hidden, torch.tensor([0, 1, 2, 3]), torch.tensor([2, 0, 1]))
    assert torch.equal(found[:, 1::2], context[:, 1::2])
    assert torch.equal(found[0], context[0])
    for row, gone in ((1, [1]), (2, [1, 2]), (3, [0, 1, 2])):
        kept = [s for s in range(S) if s not in gone]
        assert (found[row, ::2][:, gone] == UNALIGNED).all()
        assert torch.equal(found[row, ::2][:, kept], context[row, ::2][:, kept])


def relatives(seed=0, **settings):
    made = network(seed, target="relatives", **settings)
    with torch.no_grad():
        made.relatives.start_at(torch.arange(20.0).view(5, 4).cos(), torch.tensor([0.5, 1.0, 1.5]))
    return made


@pytest.mark.parametrize("hiding", ["replace", "drop"])
def test_columns_that_are_asked_for_reach_no_expectation_and_are_weighed_with_it(context, codes, hiding):
    made = relatives(hiding=hiding)
    hidden = torch.zeros(B, L, dtype=torch.bool)
    hidden[:, ::3] = True
    asked = context + ASKED * hidden[..., None]
    tokens = base_tokens(torch.cat([codes[..., None], asked], -1))
    other = torch.where(hidden[..., None], (context + 1) % N_SYMBOLS + ASKED, context)
    expected = made.expect(tokens)
    assert torch.equal(expected, made.expect(base_tokens(torch.cat([codes[..., None], other], -1))))
    assert not torch.allclose(expected, made.expect(base_tokens(torch.cat([3 - codes[..., None], asked], -1))))
    counts = torch.stack([((context == base) * torch.tensor([0.5, 1.0, 1.5])).sum(-1) for base in range(4)], -1)
    torch.testing.assert_close(made(tokens).exp(), expected.softmax(-1) + counts)


def test_untrained_it_expects_what_the_base_alone_says(context, codes):
    made = DNAMaskedAutoencoder(DNAConfig(**SIZES, n_species=S, target="relatives"))
    table = torch.randn(5, 4)
    made.relatives.start_at(table, torch.ones(S))
    codes = codes.masked_fill(codes == 3, 4)
    torch.testing.assert_close(made.expect(base_tokens(torch.cat([codes[..., None], context], -1))), table[codes])
    assert isinstance(made.relatives, RelativesReadout)
    assert not any(parameter.requires_grad for parameter in made.columns.readout_parameters())
