"""Windows as minibatches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.fit._batch import WindowBatch, WindowReader
from r2mae_bio.io import encode_bases, reverse_complement, soft_mask

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
