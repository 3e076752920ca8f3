"""Windows as minibatches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._batch import WindowBatch, WindowReader
from r2mae_bio.io import encode_bases, reverse_complement, soft_mask

from ..toy_alignment import write_alignment

L, N_WINDOWS = 32, 90


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


# ---------------------------------------------------------------- with an alignment


@pytest.fixture(scope="module")
def aligned(genome, tmp_path_factory):
    alignment, expected = write_alignment(tmp_path_factory.mktemp("aligned"), genome)
    return AlignedColumns(alignment, genome), expected


def test_a_batch_holds_the_columns_of_its_windows(genome, aligned) -> None:
    columns, expected = aligned
    reader = WindowReader(genome, L, columns=columns)
    batch = reader.read(np.array([3, 170]), np.array([False, True]), np.array([0, 2]))
    forward = expected["chr1"]
    np.testing.assert_array_equal(batch.columns[0].numpy(), forward[3 : 3 + L])
    turned = forward[170 : 170 + L][::-1]
    np.testing.assert_array_equal(batch.columns[1].numpy(), np.where(turned < 4, 3 - turned, turned))
    assert batch.n_hidden.tolist() == [0, 2]
    moved = batch.to("meta")
    assert (moved.columns.device.type, moved.n_hidden.device.type) == ("meta", "meta")


def test_bases_that_no_species_shares_weigh_less(genome, aligned) -> None:
    columns, expected = aligned
    starts = np.array([0, 165])
    both = WindowReader(genome, L, repeat_weight=0.5, columns=columns, diverged_weight=0.2).read(starts)
    codes = encode_bases(genome.windows(starts, L))
    for row, start in enumerate(starts.tolist()):
        shared = (expected["chr1"][start : start + L] == codes[row][:, None]).mean(1)
        for i in range(L):
            near = shared[max(i - 4, 0) : i + 5].mean()
            weight = (0.2 + 0.8 * near) * (0.5 if both.repeat[row, i] else 1)
            assert both.weight[row, i].item() == pytest.approx(weight, rel=1e-5)
    with pytest.raises(ConfigError, match="diverged_weight=0.1 without an alignment"):
        WindowReader(genome, L, diverged_weight=0.1)
    with pytest.raises(ConfigError, match="diverged_weight=0"):
        WindowReader(genome, L, columns=columns, diverged_weight=0)
