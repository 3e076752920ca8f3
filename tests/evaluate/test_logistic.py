"""The penalty of a logistic regression, chosen on the cells it learns from."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from r2mae_bio._splits import deal_folds
from r2mae_bio.evaluate._logistic import STRENGTHS, tuned_logistic_regression


def cells(n=40, n_noise=30, distance=1.5, seed=0):
    """Two classes that one feature tells apart, and features that tell nothing."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b"], n)
    features = rng.standard_normal((2 * n, n_noise + 1))
    features[:, 0] += distance * (labels == "b")
    return features, labels


def test_the_strength_is_that_of_a_search_by_hand():
    features, labels = cells()
    folds = deal_folds((labels == "b").astype(np.intp), None, seed=0)
    losses = []
    for strength in STRENGTHS:
        scores = []
        for fold in range(5):
            held = folds == fold
            classifier = LogisticRegression(C=strength, max_iter=2000).fit(features[~held], labels[~held])
            scores.append(log_loss(labels[held], classifier.predict_proba(features[held])))
        losses.append(np.mean(scores))
    found = tuned_logistic_regression(labels).fit(features, labels)
    assert found.best_params_["C"] == STRENGTHS[int(np.argmin(losses))]
    assert -found.best_score_ == pytest.approx(min(losses))


def test_noise_is_penalised_more_than_a_clear_difference():
    noisy = tuned_logistic_regression(cells()[1]).fit(*cells(distance=0.3)).best_params_["C"]
    clear = tuned_logistic_regression(cells()[1]).fit(*cells(distance=20, n_noise=1)).best_params_["C"]
    assert noisy < clear


@pytest.mark.parametrize("n_rare", [1, 2, 3])
def test_rare_classes_are_learned_without_a_warning(n_rare):
    features, labels = cells(distance=10)
    features = np.concatenate([features, np.full((n_rare, features.shape[1]), 8.0)])
    labels = np.concatenate([labels, np.repeat("rare", n_rare)])
    found = tuned_logistic_regression(labels).fit(features, labels)
    assert list(found.classes_) == ["a", "b", "rare"]
    assert (found.predict(features) == labels).all()


def test_too_few_cells_to_hold_any_out():
    found = tuned_logistic_regression(np.array(["a", "a", "b"])).fit([[0.0], [0.1], [9.0]], ["a", "a", "b"])
    assert isinstance(found, LogisticRegression)
    assert list(found.predict([[0.0], [9.0]])) == ["a", "b"]
