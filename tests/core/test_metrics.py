"""Scores of training: the meter against sums by hand, classes against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._metrics import RatioMeter, class_metrics, matthews_correlation
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


def test_metrics_agree_with_scikit_learn():
    rng = derive_generator(0, "metrics")
    for n_classes in (2, 4):
        labels = rng.integers(0, n_classes, 200)
        scores = np.round(rng.dirichlet(np.ones(n_classes), 200) + 0.3 * np.eye(n_classes)[labels], 1)
        scores += 1e-9 * np.arange(n_classes)  # ties between classes go to the last, here and there
        found, predicted = class_metrics(labels, scores), scores.argmax(axis=1)
        assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(labels, predicted))
        assert found["mcc"] == pytest.approx(matthews_correlation(labels, predicted))
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
        assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
        areas = [metrics.roc_auc_score(labels == k, scores[:, k]) for k in range(n_classes)]
        assert found["auroc"] == pytest.approx(np.mean(areas))


def test_metrics_of_one_class_say_nothing():
    found = class_metrics(np.zeros(5, np.int64), np.tile([0.7, 0.3], (5, 1)))
    assert found["mcc"] == 0
    assert np.isnan(found["auroc"])
    assert found["accuracy"] == 1
