"""When a query stays as it was read."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from r2mae_bio.cells.transfer._embedding import EmbeddedPair
from r2mae_bio.cells.transfer._label_transfer import LabelTransfer
from r2mae_bio.cells.transfer._query import _without_merging_types

CENTRES = np.array([[0, 0], [6, 0], [0, 6]], np.float32)


def blobs(n, seed, centres=CENTRES):
    kind = np.arange(n) % 3
    return centres[kind] + np.random.default_rng(seed).normal(0, 1, (n, 2)).astype(np.float32), kind.astype(str)


def pair(corrected, uncorrected, batches):
    return EmbeddedPair(
        np.zeros((1, 0, 2)),
        corrected,
        uncorrected,
        batches,
        np.zeros(len(corrected), bool),
        np.zeros(0),
        np.ones((1, 0), bool),
        {},
    )


@pytest.fixture(scope="module")
def transfer():
    return LabelTransfer.fit(*blobs(300, 0))


def test_a_batch_that_would_spread_over_fewer_classes_stays(transfer):
    read, batches = blobs(120, 1)[0], np.repeat(["one", "two"], 60).astype(object)
    shifted = read + 0.2  # both batches a little off; of the first, two types would be laid on each other
    merged = read.copy()
    merged[:60][np.arange(60) % 3 == 2] -= CENTRES[2]
    with pytest.warns(UserWarning, match=r"Not laid on the reference: one \(3\.0\d? to 1\.\d+\) \(1 in all\).*fewer classes"):
        found = _without_merging_types(transfer, pair(merged, shifted, batches))
    np.testing.assert_array_equal(found[:60], shifted[:60])
    np.testing.assert_array_equal(found[60:], merged[60:])


def test_a_correction_that_brings_types_back_is_taken(transfer):
    right, batches = blobs(120, 1)[0], np.full(120, "query", object)
    drifted = right - [3, 3]  # the first type swallows parts of the others
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(_without_merging_types(transfer, pair(right, drifted, batches)), right)
