"""Label transfer on arrays, against scikit-learn."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from r2mae_bio._errors import DataError
from r2mae_bio.cells.transfer import _label_transfer
from r2mae_bio.cells.transfer._label_transfer import LabelTransfer
from r2mae_bio.evaluate import expected_calibration_error

pytestmark = pytest.mark.usefixtures("one_thread")


def blobs(n, spread, seed, n_classes=3):
    rng = np.random.default_rng(seed)
    centre, kind = np.random.default_rng(5).normal(0, 1, (n_classes, 6)), rng.integers(0, n_classes, n)
    return centre[kind] + rng.normal(0, spread, (n, 6)), kind.astype(str)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn_at_the_chosen_strength_and_temperature(n_classes):
    x, y = blobs(200, 1.0, 0, n_classes)
    fitted, new = LabelTransfer.fit(x, y), blobs(50, 1.0, 1, n_classes)[0]
    z, z_new = (x - x.mean(0)) / x.std(0), (new - x.mean(0)) / x.std(0)
    decision = LogisticRegression(C=fitted.strength, max_iter=1000).fit(z, y).decision_function(z_new) / fitted.temperature
    expected = np.stack([expit(-decision), expit(decision)], 1) if n_classes == 2 else softmax(decision, 1)
    np.testing.assert_allclose(fitted.predict(new).probabilities, expected, atol=2e-3)


def test_probabilities_of_classes_that_overlap_are_calibrated():
    x, y = blobs(1500, 1.5, 0)
    fitted = LabelTransfer.fit(x, y)
    new, truth = blobs(4000, 1.5, 1)
    found = fitted.predict(new)
    assert np.mean(fitted.classes[found.probabilities.argmax(1)] == truth) == pytest.approx(fitted.accuracy, abs=0.03)
    assert expected_calibration_error(truth, found.probabilities, classes=fitted.classes) < 0.03
    # a rank among reference cells that were held out: uniform for cells of the same kind
    for level in (0.5, 0.9):
        assert np.mean(found.unknown > level) == pytest.approx(1 - level, abs=0.04)
    far = fitted.predict(new[:100] + 20)
    assert far.unknown.min() == pytest.approx(1500 / 1501)


def test_a_large_query_takes_the_memory_of_its_results_and_of_one_block(monkeypatch):
    fitted = LabelTransfer.fit(*blobs(200, 1.0, 0))
    new = np.tile(blobs(1000, 1.0, 1)[0].astype(np.float32), (200, 1))
    moved = new + np.float32(0.1)
    whole = fitted.predict(new[:1000], moved[:1000])
    monkeypatch.setattr(_label_transfer, "_AT_ONCE", 1024)
    tracemalloc.start()
    found = fitted.predict(new, moved)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < found.probabilities.nbytes + found.unknown.nbytes + 0.2 * new.nbytes
    np.testing.assert_allclose(found.probabilities[-1000:], whole.probabilities, atol=1e-6)
    np.testing.assert_allclose(found.unknown[-1000:], whole.unknown, atol=1e-6)
    expected = fitted.predict(new[::2]).probabilities.mean(0, dtype=float)
    np.testing.assert_allclose(fitted.mean_probabilities(new, np.arange(0, len(new), 2)), expected, atol=1e-6)


def test_a_group_effect_lowers_the_confidence_where_groups_are_held_out():
    rng = np.random.default_rng(0)
    x, y = blobs(600, 0.5, 0)
    groups = np.arange(600) % 6
    shift = rng.normal(0, 1.2, (6, 3, 6))  # each group moves each type its own way
    x = x + shift[groups, y.astype(int)]
    loose, strict = LabelTransfer.fit(x, y), LabelTransfer.fit(x, y, groups=groups)
    assert strict.accuracy < loose.accuracy
    assert strict.predict(x).probabilities.max(1).mean() < loose.predict(x).probabilities.max(1).mean()


def test_a_class_of_one_group_is_learned_but_not_judged():
    x, y = blobs(300, 0.5, 0)
    groups = np.where(y == "2", "a", np.array(list("abc"))[np.arange(300) % 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = LabelTransfer.fit(x, y, groups=groups)
        found = fitted.predict(x)
    assert np.mean(fitted.classes[found.probabilities.argmax(1)] == y) > 0.9
    assert np.isfinite(found.unknown).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 2)), ["a"] * 4, "have the classes a; at least two classes"),
        (np.ones((4, 2)), ["a", "a", "a", "b"], "with a single cell in b"),
        (np.ones((4, 2)), ["a", "b"], "4 embedded cells and 2 labels"),
        (np.full((4, 2), np.nan), ["a", "a", "b", "b"], "not finite"),
        (np.ones((4, 2)), ["a", "a", "b", "b"], "All 4 reference cells have the same embedding"),
    ],
)
def test_arrays_that_cannot_be_used(x, y, message):
    with pytest.raises(DataError, match=message):
        LabelTransfer.fit(x, y)


def test_few_cells_that_are_easily_told_do_not_make_every_confidence_one():
    x, y = blobs(10, 0.5, 0, 2)
    fitted = LabelTransfer.fit(x, y)
    assert fitted.temperature > 0.2
    between = np.linspace(x[y == y[0]].mean(0), x[y != y[0]].mean(0), 9)
    assert fitted.predict(between).probabilities.max(1).min() < 0.8
