"""Windows as minibatches, and the Markov models they are compared with."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.config import TrainConfig
from r2mae_bio.core._checkpoint import Bundle
from r2mae_bio.core._objective import Score
from r2mae_bio.core._resume import TrainingState
from r2mae_bio.core._runner import TrainOptions, fit
from r2mae_bio.dna.fit._batch import WindowBatch, WindowReader
from r2mae_bio.dna.fit._loader import DrawnWindows, WindowLoader, window_loaders
from r2mae_bio.dna.fit._markov import MarkovModel, markov_floors
from r2mae_bio.io import Genome, Intervals, WindowSampler, encode_bases, reverse_complement, soft_mask, split_genome
from r2mae_bio.masking import as_ratio_law

if TYPE_CHECKING:
    from pathlib import Path

L, N_WINDOWS = 32, 90


def write(folder: Path, bases: dict[str, str]) -> Genome:
    path = folder / "genome.fa"
    path.write_text("".join(f">{contig}\n{letters}\n" for contig, letters in bases.items()))
    return Genome(path, cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(8)
    bases = {name: "".join(rng.choice(list("ACGTacgtN"), n)) for name, n in (("chr1", 3000), ("chr2", 900))}
    return write(tmp_path_factory.mktemp("soft"), bases)


@pytest.fixture(scope="module")
def upper(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(9)
    return write(tmp_path_factory.mktemp("upper"), {"chr1": "".join(rng.choice(list("ACGT"), 3000, p=[0.4, 0.1, 0.1, 0.4]))})


def drawn(genome: Genome, *, batch_size: int = 16, n_windows: int = N_WINDOWS, **settings) -> WindowLoader:
    sampler = WindowSampler(genome, Intervals.whole(genome), L)
    return WindowLoader(WindowReader(genome, L), DrawnWindows(sampler, batch_size, n_windows, **settings))


def at(loader: WindowLoader, seed: int, epoch: int, batch: int) -> WindowLoader:
    loader.shuffle_by(lambda: (seed, epoch, batch))
    return loader


def codes_of(batches) -> list[np.ndarray]:
    return [batch.codes.numpy() for batch in batches]


# ---------------------------------------------------------------- batches


def test_a_batch_holds_the_bases_of_its_windows(genome) -> None:
    starts, reverse = np.array([0, 17, 3100]), np.array([False, True, False])
    batch = WindowReader(genome, L, repeat_weight=0.25).read(starts, reverse)
    letters = genome.windows(starts, L)
    letters[1] = reverse_complement(letters[1])
    np.testing.assert_array_equal(batch.codes.numpy(), encode_bases(letters))
    np.testing.assert_array_equal(batch.repeat.numpy(), soft_mask(letters))
    np.testing.assert_array_equal(batch.weight.numpy(), np.where(soft_mask(letters), 0.25, 1).astype(np.float32))
    np.testing.assert_array_equal(batch.valid.numpy(), np.isin(letters, np.frombuffer(b"ACGTacgt", np.uint8)))
    assert (batch.codes.dtype, batch.weight.dtype, batch.repeat.dtype) == (torch.uint8, torch.float32, torch.bool)


def test_weights_and_repeats_are_made_only_where_they_matter(genome, upper) -> None:
    plain = WindowReader(genome, L).read(np.array([5]))
    assert plain.weight is None
    assert plain.repeat is not None
    without = WindowReader(upper, L, repeat_weight=0.1).read(np.array([5]))
    assert without.weight is None
    assert without.repeat is None
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="repeat_weight"):
            WindowReader(genome, L, repeat_weight=weight)


def test_a_batch_moves_with_all_it_has(genome) -> None:
    batch = WindowReader(genome, L, repeat_weight=0.5).read(np.array([5])).to("meta", non_blocking=True)
    assert {t.device.type for t in (batch.codes, batch.weight, batch.repeat)} == {"meta"}
    bare = WindowBatch(batch.codes).to("meta")
    assert bare.weight is None
    assert bare.repeat is None


# ---------------------------------------------------------------- training windows


@given(st.integers(1, 200), st.integers(1, 64))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_epoch_has_its_number_of_windows(upper, n_windows, batch_size) -> None:
    loader = drawn(upper, batch_size=batch_size, n_windows=n_windows)
    sizes = [len(codes) for codes in codes_of(loader)]
    assert sum(sizes) == n_windows
    assert len(sizes) == len(loader)
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_a_batch_depends_on_seed_epoch_and_number_alone(upper) -> None:
    loader = drawn(upper)
    whole = codes_of(at(loader, 3, 2, 0))
    for number, expected in enumerate(whole):
        np.testing.assert_array_equal(loader.batch(3, 2, number).codes.numpy(), expected)
    rest = codes_of(at(loader, 3, 2, 4))
    assert len(rest) == len(loader) == len(whole) - 4
    for a, b in zip(rest, whole[4:], strict=True):
        np.testing.assert_array_equal(a, b)
    for other in ((3, 3, 0), (4, 2, 0), (3, 2, 1)):
        assert (loader.batch(*other).codes.numpy() != whole[0]).any()


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_ranks_share_every_batch(genome, world_size, part) -> None:
    split = split_genome(genome, validation=0.3, min_block=L)
    loader = getattr(window_loaders(genome, split, window=L, batch_size=16, epoch_windows=70), part)
    whole = codes_of(loader)
    shares = []
    for rank in range(world_size):
        loader.rank, loader.world_size = rank, world_size
        shares.append(codes_of(loader))
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        together = np.empty_like(batch)
        for rank, share in enumerate(parts):
            together[rank::world_size] = share
        np.testing.assert_array_equal(together, batch)


def test_half_of_the_windows_are_read_on_the_other_strand(upper) -> None:
    plan = drawn(upper, n_windows=4000, batch_size=100).plan
    turned = np.concatenate([plan.place(1, 0, b).reverse for b in range(plan.n_batches)])
    assert abs(turned.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    assert drawn(upper, both_strands=False).plan.place(1, 0, 0).reverse is None
    starts, reverse = plan.place(1, 0, 0)
    rows = upper.windows(starts, L)
    rows[reverse] = reverse_complement(rows[reverse])
    loader = drawn(upper, n_windows=4000, batch_size=100)
    np.testing.assert_array_equal(loader.batch(1, 0, 0).codes.numpy(), encode_bases(rows))


# ---------------------------------------------------------------- loaders of a split


def bases_read(loader: WindowLoader, n_bases: int, epochs: int) -> np.ndarray:
    mask = np.zeros(n_bases, bool)
    for epoch, batch in itertools.product(range(epochs), range(loader.plan.n_batches)):
        starts, _ = loader.plan.place(0, epoch, batch)
        mask[starts[:, None] + np.arange(L)] = True
    return mask


def test_what_is_validated_on_is_never_trained_on(genome) -> None:
    split = split_genome(genome, validation=0.2, min_block=L)
    loaders = window_loaders(genome, split, window=L, batch_size=16)
    trained, validated = (bases_read(loader, len(genome), 40) for loader in (loaders.train, loaders.validation))
    assert not (trained & validated).any()
    assert trained.sum() > 0.95 * split.train.n_bases
    assert validated.sum() == loaders.validation.plan.starts.size * L > split.validation.n_bases - 2 * L
    assert loaders.train.plan.n_windows == split.train.n_bases // L
    assert loaders.reference is loaders.validation


def test_validation_is_the_same_in_every_epoch_and_evenly_spread(genome) -> None:
    split = split_genome(genome, validation=["chr2"])
    loader = window_loaders(genome, split, window=L, batch_size=4, max_validation_windows=7).validation
    starts = np.concatenate([loader.plan.place(0, 0, b).starts for b in range(loader.plan.n_batches)])
    assert starts.size == 7
    assert np.ptp(np.diff(starts)) <= L
    first, later = codes_of(loader), codes_of(at(loader, 9, 5, 0))
    assert all(np.array_equal(a, b) for a, b in zip(first, later, strict=True))
    everything = window_loaders(genome, split, window=L, batch_size=4, max_validation_windows=None).validation
    assert everything.plan.starts.size == 900 // L


def test_without_validation_the_reference_is_of_the_training_part(genome) -> None:
    loaders = window_loaders(genome, split_genome(genome, validation=0), window=L, batch_size=8, max_validation_windows=20)
    assert loaders.validation is None
    assert sum(len(codes) for codes in codes_of(loaders.reference)) == 20


@pytest.mark.parametrize("name", ["batch_size", "epoch_windows", "max_validation_windows"])
def test_numbers_of_windows_are_positive(genome, name) -> None:
    chosen = {"window": L, "batch_size": 8, name: 0}
    with pytest.raises(ConfigError, match=f"{name}=0"):
        window_loaders(genome, split_genome(genome, validation=0), **chosen)


def test_windows_longer_than_what_is_held_out_are_refused(genome) -> None:
    split = split_genome(genome, validation=[("chr1", 0, 30)])
    with pytest.raises(DataError, match="30 bases; needed is one window of 32"):
        window_loaders(genome, split, window=L, batch_size=8)


def test_what_gives_no_tile_is_refused(tmp_path) -> None:
    genome = write(tmp_path, {"train": "ACGT" * 50, "held": "N" * 22 + "A" * 20 + "N" * 22})
    with pytest.raises(DataError, match="side by side"):
        window_loaders(genome, split_genome(genome, validation=["held"]), window=L, batch_size=8)


def test_intervals_left_out_are_told(genome, caplog) -> None:
    split = split_genome(genome, train=[("chr1", 0, 500), ("chr1", 600, 610), ("chr2", 0, 31)], validation=0)
    with caplog.at_level("INFO", logger="r2mae_bio"):
        window_loaders(genome, split, window=L, batch_size=8)
    assert "2 of 3 intervals are shorter than a window of 32" in caplog.text


# ---------------------------------------------------------------- a whole run


class Composition(torch.nn.Module):
    """Predicts every base by the same four logits."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(4))


class BaseObjective:
    unit, blind_name = "windows", "a quarter each"

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def valid(self, batch):
        return batch.valid

    def n_rows(self, batch):
        return len(batch.codes)

    n_units = n_rows

    def score(self, network, batch, plan):
        if torch.is_grad_enabled():
            self.seen.append(batch.codes.numpy())
        nats = -torch.log_softmax(network.logits, 0)[batch.codes.clamp(max=3).long()] * plan.hidden
        return Score(nats.sum(1), plan.hidden.sum(1))

    def blind(self, batch, plan):
        return Score(plan.hidden.sum(1) * float(np.log(4)), plan.hidden.sum(1))

    def parameter_groups(self, network, config):
        return [{"params": list(network.parameters()), "scale": 1.0, "weight_decay": 0.0}]


def test_a_run_reads_the_plan_and_learns_the_composition(upper) -> None:
    loaders = window_loaders(upper, split_genome(upper, validation=0.2, min_block=L), window=L, batch_size=16)
    network, objective = Composition(), BaseObjective()
    config = TrainConfig(max_epochs=30, batch_size=16, learning_rate=0.05, weight_decay=0.0)
    result = fit(
        network,
        objective,
        as_ratio_law(0.5),
        loaders,
        config,
        seed=7,
        options=TrainOptions(accelerator="cpu", devices=1, progress_bar=False),
        state=TrainingState(identity={}),
        bundle=lambda: Bundle({}, {}, {}),
    )
    expected = [loaders.train.batch(7, epoch, b) for epoch in range(30) for b in range(loaders.train.plan.n_batches)]
    assert len(objective.seen) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(objective.seen, codes_of(expected), strict=True))
    codes = encode_bases(upper.fetch("chr1", 0, 2400))
    share = np.bincount(codes, minlength=4) + np.bincount(3 - codes, minlength=4)
    entropy = -(share / share.sum() * np.log(share / share.sum())).sum()
    assert result.history[-1]["train_loss"] == pytest.approx(entropy, abs=0.02)
    assert result.blind_loss == pytest.approx(np.log(4), abs=1e-6)


# ---------------------------------------------------------------- Markov models


def naive_counts(pieces: list[str], j: int) -> Counter:
    """Words of j + 1 known letters on both strands."""
    both = [*pieces, *map(reverse_complement, pieces)]
    words = (text[i : i + j + 1] for text in both for i in range(len(text) - j))
    return Counter(word for word in words if "N" not in word)


def naive_probability(pieces: list[str], context: str, base: str, strength: float) -> float:
    """By the formula, from the longest context down; an unknown letter cuts the context."""
    known = context.rpartition("N")[2]
    if known != context:
        return naive_probability(pieces, known, base, strength)
    n = naive_counts(pieces, len(context))
    shorter = naive_probability(pieces, context[1:], base, strength) if context else 0.25
    return (n[context + base] + strength * shorter) / (sum(n[context + b] for b in "ACGT") + strength)


def test_counts_on_a_toy_are_those_made_by_hand(tmp_path) -> None:
    genome = write(tmp_path, {"a": "AACNA"})
    model = MarkovModel.count(genome, Intervals.whole(genome), 1, strength=1.0)
    # Forward AAC and A, backward GTT and T: 3 A, 1 C, 1 G, 3 T; pairs AA, AC, GT, TT.
    order0 = np.array([3 + 0.25, 1 + 0.25, 1 + 0.25, 3 + 0.25]) / 9
    np.testing.assert_allclose(np.exp(model.log_probs[0]), order0)
    pairs = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    order1 = (pairs + order0) / (pairs.sum(1, keepdims=True) + 1)
    np.testing.assert_allclose(np.exp(model.log_probs[1]), np.vstack([order1, order0]))
    nats = model.nats(encode_bases("CNAA"))
    np.testing.assert_allclose(nats, [-np.log(order0[1]), np.nan, -np.log(order0[0]), -np.log(order1[0, 0])])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ACGTN", min_size=2, max_size=40), st.text("ACGTN", min_size=1, max_size=12), st.integers(0, 3))
def test_a_model_is_the_formula_over_dictionaries(tmp_path_factory, bases, row, order) -> None:
    genome = write(tmp_path_factory.mktemp("markov"), {"a": bases})
    cut = len(bases) // 2
    intervals = Intervals.of(genome, [0, 0], [0, cut + 1], [cut, len(bases)])
    pieces = [bases[:cut], bases[cut + 1 :]]
    model = MarkovModel.count(genome, intervals, order, strength=2.5)
    nats = model.nats(encode_bases(row)[None])[0]
    for t, base in enumerate(row):
        if base == "N":
            assert np.isnan(nats[t])
        else:
            expected = naive_probability(pieces, row[max(0, t - order) : t], base, 2.5)
            assert nats[t] == pytest.approx(-np.log(expected))


@pytest.mark.parametrize("order", range(5))
def test_probabilities_add_up_for_every_context(genome, order) -> None:
    model = MarkovModel.count(genome, Intervals.whole(genome), 4)
    np.testing.assert_allclose(np.exp(model.log_probs[order]).sum(-1), 1)
    np.testing.assert_array_equal(model.log_probs[order], MarkovModel.count(genome, Intervals.whole(genome), order).log_probs[-1])


def test_counts_do_not_depend_on_the_strand(upper, tmp_path) -> None:
    other = write(tmp_path, {"chr1": reverse_complement(upper.fetch("chr1"))})
    a, b = (MarkovModel.count(g, Intervals.whole(g), 3) for g in (upper, other))
    np.testing.assert_array_equal(a.log_probs[3], b.log_probs[3])


def test_the_floor_of_a_markov_chain_is_its_entropy(tmp_path) -> None:
    """The chain is reversible and equal on both strands, so its joint law is symmetric under
    exchange and under complement.
    """
    rng = np.random.default_rng(11)
    joint = rng.gamma(0.4, 1.0, (4, 4))
    joint = joint + joint.T
    joint = joint + joint[::-1, ::-1]
    joint /= joint.sum()
    margin = joint.sum(1)
    entropy = -(joint * np.log(joint / margin[:, None])).sum()
    steps = np.cumsum(joint / margin[:, None], axis=1)
    u, state, chain = rng.random(120_000), 0, []
    for x in u:
        state = min(3, int(np.searchsorted(steps[state], x)))
        chain.append("ACGT"[state])
    genome = write(tmp_path, {"a": "".join(chain)})
    split = split_genome(genome, validation=0.5)
    codes = encode_bases(genome.windows(np.arange(60_000, 119_000, 500), 500))
    floors = markov_floors(genome, split, codes, orders=(3, 0, 1))
    assert list(floors) == [3, 0, 1]
    assert floors[1] == pytest.approx(entropy, abs=0.02)
    assert floors[3] == pytest.approx(entropy, abs=0.02)
    assert floors[0] == pytest.approx(-(margin * np.log(margin)).sum(), abs=0.02)
    assert floors[0] > floors[1] + 0.02
    assert markov_floors(genome, split.train, codes, orders=[1]) == {1: floors[1]}


def test_the_floor_leaves_unknown_bases_out(upper) -> None:
    codes = encode_bases(upper.windows(np.array([0, 100]), L))
    split = split_genome(upper, validation=0)
    padded = np.concatenate([np.full((2, 5), 4, np.uint8), codes], axis=1)
    assert markov_floors(upper, split, padded) == pytest.approx(markov_floors(upper, split, codes))


def test_floors_that_cannot_be(upper) -> None:
    split, codes = split_genome(upper, validation=0), np.full((2, 5), 4, np.uint8)
    with pytest.raises(DataError, match="None of the 10 bases"):
        markov_floors(upper, split, codes)
    for order in (-1, 9, 1.5, True):
        with pytest.raises(ConfigError, match="from 0 to 8"):
            markov_floors(upper, split, codes, orders=(0, order))
    model = MarkovModel.count(upper, split.train, 2)
    with pytest.raises(ConfigError, match="order=3"):
        model.nats(codes, 3)
    with pytest.raises(ConfigError, match="strength"):
        MarkovModel.count(upper, split.train, 2, strength=0)


@pytest.mark.shared_data
def test_floors_of_a_real_genome(shared_data, tmp_path) -> None:
    """A bacterium is nearly balanced in composition, and five bases before a base tell a few
    hundredths of a nat.
    """
    genome = Genome(shared_data / "dna" / "ecoli_k12" / "genome.fa.gz", cache_dir=tmp_path)
    split = split_genome(genome, validation=0.2)
    loader = window_loaders(genome, split, window=512, batch_size=128).validation
    floors = markov_floors(genome, split, np.concatenate(codes_of(loader)))
    assert floors[0] == pytest.approx(np.log(4), abs=0.002)
    assert 1.33 < floors[5] < 1.35
