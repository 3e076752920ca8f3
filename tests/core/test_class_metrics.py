"""Scores of classes, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._metrics import class_metrics, matthews_correlation


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
