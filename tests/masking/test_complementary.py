from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import complementary_masks


def masks_of(valid, n_masks, hide, seed=0):
    return complementary_masks(valid, n_masks, hide=hide, generator=derive_generator(seed, "masks"))


@pytest.mark.parametrize(
    ("n_masks", "hide", "parts", "total"), [(8, 0.25, 4, 8), (8, 0.2, 5, 10), (1, 0.5, 2, 2), (20, 0.05, 20, 20)]
)
def test_every_valid_slot_is_hidden_equally_often(n_masks, hide, parts, total):
    valid = np.arange(50) % 7 != 0
    masks = masks_of(valid, n_masks, hide)
    assert masks.shape == (total, 50)
    assert (masks.sum(0) == np.where(valid, total // parts, 0)).all()
    for first in range(0, total, parts):
        assert (masks[first : first + parts].sum(0) == valid).all()
    sizes = masks.sum(1)
    assert sizes.max() - sizes.min() <= 1


def test_masks_follow_the_seed_and_differ_between_sets():
    valid = np.ones(40, bool)
    first, again, other = (masks_of(valid, 8, 0.25, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[:4] != first[4:]).any()


def test_few_slots():
    np.testing.assert_array_equal(masks_of(np.array([False, True, False]), 3, 0.25), [[False, True, False]] * 3)
    assert masks_of(np.array([True, True, False]), 4, 0.25).sum(1).tolist() == [1] * 4


def test_settings_that_cannot_work():
    with pytest.raises(ConfigError, match="n_masks is 0"):
        masks_of(np.ones(4, bool), 0, 0.25)
    for hide in (0.0, 0.6):
        with pytest.raises(ConfigError, match=f"hide is {hide}"):
            masks_of(np.ones(4, bool), 4, hide)
