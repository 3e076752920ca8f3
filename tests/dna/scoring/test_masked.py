"""Scores under random masks: which bases are hidden, both strands, and hand answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from r2mae_bio.dna.scoring import _masked
from r2mae_bio.dna.scoring._masked import draw_masks, masked_ratios
from r2mae_bio.io import encode_bases
from r2mae_bio.masking import Fixed, Uniform

from .conftest import Model, random_bases


def test_masks_come_with_mirror_images_and_hide_what_the_law_says() -> None:
    masks = draw_masks(8, 101, Uniform(0, 1))
    np.testing.assert_array_equal(masks[::2], masks[1::2, ::-1])
    assert masks.sum(axis=1).tolist() == [round(r * 101) for r in (0.125, 0.125, 0.375, 0.375, 0.625, 0.625, 0.875, 0.875)]
    np.testing.assert_array_equal(masks, draw_masks(8, 101, Uniform(0, 1)))
    hidden = draw_masks(2000, 20, Fixed(0.3)).mean(axis=0)
    assert np.abs(hidden - 0.3).max() < 5 * np.sqrt(0.21 / 2000)


def asked(model: Model, masks: np.ndarray, batch_size: int | None = None) -> np.ndarray:
    windows = encode_bases(
        np.frombuffer("".join(random_bases(25, "masked", i) for i in range(6)).encode(), np.uint8).reshape(6, 25)
    )
    at = np.full(6, 12)
    ref = windows[:, 12]
    return masked_ratios(model, windows, at, (ref, (ref + 1) % 4), masks, batch_size=batch_size)


def test_without_masked_bases_they_are_the_ratio_itself() -> None:
    model = Model()
    found = asked(model, np.zeros((2, 25), bool))
    assert found.shape == (2, 6)
    np.testing.assert_array_equal(found[0], found[1])
    hidden = np.zeros((6, 25), bool)
    hidden[:, 12] = True
    windows = np.stack([encode_bases(random_bases(25, "masked", i)) for i in range(6)])
    log_probs = model.log_probs(windows, hidden)[:, 12]
    ref = windows[:, 12]
    each = np.arange(6)
    np.testing.assert_allclose(found[0], log_probs[each, (ref + 1) % 4] - log_probs[each, ref], atol=1e-6)


def test_a_hidden_context_says_the_same_of_all_windows() -> None:
    class Seen(Model):
        def log_probs(self, codes: Any, hidden: Any = None, **settings: Any) -> np.ndarray:
            self.seen = codes.shape[1] - hidden.sum(axis=1)
            return super().log_probs(codes, hidden, **settings)

    model = Seen()
    found = asked(model, np.ones((1, 25), bool))
    assert set(model.seen.tolist()) == {0}
    prior = Model().log_probs(np.full((1, 25), 4, np.uint8), np.ones((1, 25), bool))[0, 12]
    possible = np.roll(prior, -1) - prior
    assert np.abs(found[0][:, None] - possible).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("batch_size", [None, 2])
def test_parts_change_nothing(batch_size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = draw_masks(4, 25, Uniform(0, 1))
    whole = asked(Model(), masks, batch_size)
    monkeypatch.setattr(_masked, "_NUMBERS_AT_ONCE", 4 * 25 * 2)
    np.testing.assert_allclose(asked(Model(), masks, batch_size), whole, atol=1e-6)
