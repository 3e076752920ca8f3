"""Windows of an epoch: how many, which, and of which part of the genome."""

from __future__ import annotations

import itertools

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
from r2mae_bio.core._run import TrainOptions
from r2mae_bio.core._runner import fit
from r2mae_bio.dna.fit._batch import WindowReader
from r2mae_bio.dna.fit._loader import DrawnWindows, WindowLoader, window_loaders
from r2mae_bio.io import Genome, Intervals, WindowSampler, encode_bases, reverse_complement, split_genome
from r2mae_bio.masking import as_ratio_law

from .conftest import write

L, N_WINDOWS = 32, 90


def drawn(genome: Genome, *, batch_size: int = 16, n_windows: int = N_WINDOWS, **settings) -> WindowLoader:
    sampler = WindowSampler(genome, Intervals.whole(genome), L)
    return WindowLoader(WindowReader(genome, L), DrawnWindows(sampler, batch_size, n_windows, **settings))


def at(loader: WindowLoader, seed: int, epoch: int, batch: int) -> WindowLoader:
    loader.shuffle_by(lambda: (seed, epoch, batch))
    return loader


def codes_of(batches) -> list[np.ndarray]:
    return [batch.codes.numpy() for batch in batches]


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
    place = plan.place(1, 0, 0)
    starts, reverse = place.starts, place.reverse
    rows = upper.windows(starts, L)
    rows[reverse] = reverse_complement(rows[reverse])
    loader = drawn(upper, n_windows=4000, batch_size=100)
    np.testing.assert_array_equal(loader.batch(1, 0, 0).codes.numpy(), encode_bases(rows))


# ---------------------------------------------------------------- loaders of a split


def bases_read(loader: WindowLoader, n_bases: int, epochs: int) -> np.ndarray:
    mask = np.zeros(n_bases, bool)
    for epoch, batch in itertools.product(range(epochs), range(loader.plan.n_batches)):
        starts = loader.plan.place(0, epoch, batch).starts
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


@pytest.mark.parametrize(("n_long", "warned"), [(500, True), (5000, False)])
def test_contigs_shorter_than_a_window_are_told_of(tmp_path, caplog, n_long, warned) -> None:
    rng = np.random.default_rng(0)
    lengths = {"long": n_long, "one": L - 1, "two": L - 2}
    genome = write(tmp_path, {name: "".join(rng.choice(list("ACGT"), n)) for name, n in lengths.items()})
    split = split_genome(genome, validation=0)
    said = rf"2 of 3 intervals are shorter than a window of {L} bases and are not trained on: 61 of {n_long + 61:,} bases"
    with caplog.at_level("INFO", "r2mae_bio"):
        if warned:
            with pytest.warns(UserWarning, match=rf"{said} \(11%\).*smaller window"):
                window_loaders(genome, split, window=L, batch_size=8)
        else:
            window_loaders(genome, split, window=L, batch_size=8)
            assert said in caplog.text
