"""The linear reading as a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio.dna.network._linear_reading import LinearReading
from r2mae_bio.errors import DataError
from r2mae_bio.io import (
    encode_bases,
)


def test_weights_are_of_words_and_of_places():
    reading = LinearReading(2, 2, position_k=1, length=4)
    by_word, by_position = torch.zeros(16, 2), torch.zeros(4, 4, 2)
    by_word[1, 0], by_position[2, 3, 1] = 1.0, 10.0  # AC anywhere, T at the third base
    reading.fill(torch.tensor([0.5, 0.25]), by_word, by_position)
    codes = torch.from_numpy(np.stack([encode_bases(s) for s in ("ACAC", "GGTG", "ANCG", "TTNT")]).astype(np.int64))
    assert reading(codes).tolist() == [[2.5, 0.25], [0.5, 10.25], [0.5, 0.25], [0.5, 0.25]]
    with pytest.raises(DataError, match="3 bp; needed are the 4 bp"):
        reading(codes[:, :3])
    assert LinearReading(2, 6)(codes).tolist() == [[0, 0]] * 4, "shorter than a word"
    assert not list(reading.parameters())
