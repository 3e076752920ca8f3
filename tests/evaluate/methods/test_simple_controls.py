"""The majority class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from r2mae_bio.evaluate import (
    MajorityClass,
    panel_transfer,
    stratified_split,
)


def test_majority_class_is_predicted_by_every_probe(counts, labels):
    split = stratified_split(labels)
    names, sizes = np.unique(labels[split.reference], return_counts=True)
    largest = np.full(len(split.query), names[np.argmax(sizes)])
    frame = panel_transfer([MajorityClass()], counts, labels, split=split, fractions=(1.0,), seeds=(0,))
    expected = f1_score(labels[split.query], largest, average="macro", zero_division=0)
    assert frame["macro_f1"].to_numpy() == pytest.approx(expected)
