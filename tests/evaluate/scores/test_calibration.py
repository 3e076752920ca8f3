"""Expected calibration error against figures worked out by hand, and against a sum over bins
written the long way.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import expected_calibration_error

# confidences .9 .9 .6 .6 .6, answers right wrong right right right; four bins: (.5, .75] and (.75,
# 1]
ROWS = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.6, 0.4], [0.4, 0.6]])
TRUTH = np.array([0, 0, 0, 0, 1])


def test_by_hand():
    # |.5 - .9| * 2/5 + |1 - .6| * 3/5
    assert expected_calibration_error(TRUTH, ROWS, n_bins=4) == pytest.approx(0.4)
    # one bin: |4/5 - 3.6/5|
    assert expected_calibration_error(TRUTH, ROWS, n_bins=1) == pytest.approx(0.08)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    rows, truth = np.array([[0.5, 0.3, 0.2], [0.45, 0.35, 0.2]]), [0, 1]
    # both in (0, .5]: |.5 - .475|; were .5 in the bin above, it would be (.5 + .45) / 2
    assert expected_calibration_error(truth, rows, n_bins=2) == pytest.approx(0.025)


def test_the_long_way():
    rng = np.random.default_rng(0)
    rows, truth = rng.dirichlet(np.full(4, 0.5), 500), rng.integers(0, 4, 500)
    confidence, right = rows.max(1), rows.argmax(1) == truth
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(truth, rows) == pytest.approx(expected, abs=1e-12)
    order = rng.permutation(500)
    assert expected_calibration_error(truth[order], rows[order]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_bins", [5, 15])
@pytest.mark.parametrize("n_classes", [2, 6])
def test_errors_are_those_of_torchmetrics(n_classes, n_bins):
    functional = pytest.importorskip("torchmetrics.functional.classification", reason="torchmetrics is the oracle here")
    rng = np.random.default_rng(n_classes)
    rows, truth = rng.dirichlet(np.full(n_classes, 0.5), 700), rng.integers(0, n_classes, 700)
    expected = functional.multiclass_calibration_error(
        torch.from_numpy(rows), torch.from_numpy(truth), n_classes, n_bins=n_bins, norm="l1"
    )
    assert expected_calibration_error(truth, rows, n_bins=n_bins) == pytest.approx(float(expected), abs=1e-6)


def test_labels_drawn_from_the_probabilities_are_calibrated_and_sharpened_ones_are_not():
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.ones(3), 20_000)
    truth = (rng.random((20_000, 1)) > rows.cumsum(1)).sum(1)
    assert expected_calibration_error(truth, rows) < 0.015
    sharp = rows**3 / (rows**3).sum(1, keepdims=True)
    assert expected_calibration_error(truth, sharp) > 0.15


def test_names_from_a_frame_from_the_caller_and_labels_that_are_no_class():
    frame = pd.DataFrame(ROWS.astype(np.float32), columns=["T cell", "B cell"])
    names = np.array(["T cell", "B cell"])[TRUTH]
    assert expected_calibration_error(names, frame, n_bins=4) == pytest.approx(0.4, abs=1e-6)
    assert expected_calibration_error(pd.Categorical(names), ROWS, n_bins=4, classes=["T cell", "B cell"]) == pytest.approx(0.4)
    names[2] = "NK cell"
    # one right answer of three in the lower bin less: |.5 - .9| * 2/5 + |2/3 - .6| * 3/5
    assert expected_calibration_error(names, frame, n_bins=4) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "rows", "options", "error", "message"),
    [
        (TRUTH, ROWS, {"n_bins": 0}, ConfigError, "n_bins is 0"),
        (TRUTH[:4], ROWS, {}, DataError, "4 labels and 2 classes for probabilities of shape"),
        (TRUTH, ROWS, {"classes": ["a"]}, DataError, "1 classes"),
        (["T", "T", "T", "T", "B"], ROWS, {}, DataError, "None of the 5 labels is one of the classes 0, 1"),
        (TRUTH, ROWS * 2, {}, DataError, "row 0 with the sum 2"),
        (TRUTH, np.where(ROWS == 0.9, np.nan, ROWS), {}, DataError, "2 of 5 rows are no probabilities"),
        (TRUTH, ROWS[:, 0], {}, DataError, r"shape \(5,\)"),
        ([0, 0, None, 0, 1], ROWS, {}, DataError, "1 of 5 labels are missing"),
    ],
)
def test_errors(labels, rows, options, error, message):
    with pytest.raises(error, match=message):
        expected_calibration_error(labels, rows, **options)
