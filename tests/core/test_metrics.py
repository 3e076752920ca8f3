"""The meter of a training run, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._objective import Score


def test_the_meter_weights_by_hidden_slots():
    rng = np.random.default_rng(0)
    meter, seen = RatioMeter(), []
    for _ in range(5):
        ratio, hidden, nats = rng.random(40), rng.integers(1, 90, 40), rng.random(40) * 50
        meter.update(Score(torch.from_numpy(nats), torch.from_numpy(hidden)), torch.from_numpy(ratio))
        seen.append((ratio, hidden, nats))
    ratio, hidden, nats = map(np.concatenate, zip(*seen, strict=True))
    report = meter.report("train")
    assert report["train_loss"] == pytest.approx(nats.sum() / hidden.sum())
    chosen = (ratio >= 0.4) & (ratio < 0.6)
    assert report["train_loss_0.4-0.6"] == pytest.approx(nats[chosen].sum() / hidden[chosen].sum())
    np.testing.assert_array_equal(meter.rows(), np.histogram(ratio, np.linspace(0, 1, 21))[0])
    meter.reset()
    assert sum(meter.rows()) == 0
