"""Label transfer across groups of cells."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.evaluate import (
    MajorityClass,
    PCAZeroFill,
    label_transfer,
)


@pytest.fixture(scope="module")
def groups(labels):
    return np.where(np.arange(len(labels)) % 3 == 0, "second", "first")


def test_label_transfer_has_a_row_for_each_group(counts, labels, groups):
    frame = label_transfer([PCAZeroFill(5), MajorityClass()], counts, labels, groups=groups, seeds=(0,))
    assert len(frame) == 2 * 2 * 2
    by_method = frame.groupby("method")["macro_f1"].mean()
    assert by_method["PCA, zero fill"] > 0.9 > by_method["majority class"]


def test_unseen_classes_are_dropped_or_wrong(counts, labels, groups):
    alone = np.where((labels == labels[0]) & (groups == "first"), "only here", labels)
    methods, options = [PCAZeroFill(5)], {"groups": groups, "seeds": (0,), "probes": ("linear",)}
    dropped = label_transfer(methods, counts, alone, unseen="drop", **options).set_index("group").loc["first"]
    wrong = label_transfer(methods, counts, alone, unseen="wrong", **options).set_index("group").loc["first"]
    assert dropped["n_unseen"] == wrong["n_unseen"] == (alone == "only here").sum()
    assert wrong["n_query"] == dropped["n_query"] + dropped["n_unseen"]
    assert wrong["accuracy"] < dropped["accuracy"]
