"""Logistic regression on words, of one strand and of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.fit._linear import fit_linear, strands_agree
from r2mae_bio.dna.fit._linear_readings import fit_readings
from r2mae_bio.io import (
    decode_bases,
    read_sequence_table,
    reverse_complement,
)

from ..toy_sequences import MOTIF, frame, motif_frame, plant, random_codes

if TYPE_CHECKING:
    import pandas as pd


def test_strands_agree_unless_the_label_is_the_direction_of_a_motif():
    assert strands_agree(read_sequence_table(motif_frame(1600)))
    directed = motif_frame(1600)
    codes, labels = random_codes(1600), directed["label"].to_numpy()
    plant(codes, np.flatnonzero(labels == 1), MOTIF)
    plant(codes, np.flatnonzero(labels == 0), reverse_complement(MOTIF))
    assert not strands_agree(read_sequence_table(directed.assign(sequence=decode_bases(codes))))


def two_and_three_classes() -> list[pd.DataFrame]:
    """Random bases, some unknown, some classes: the regressions must agree, not be good."""
    codes = random_codes(160, seed=3)
    codes[derive_generator(0, "unknown").random(codes.shape) < 0.03] = 4
    return [frame(codes, np.arange(160) % n, 40, 40) for n in (2, 3)]


@pytest.mark.parametrize("table", two_and_three_classes(), ids=["two classes", "three classes"])
def test_a_linear_reading_is_the_regression(table):
    task = read_sequence_table(table)
    readings = fit_readings(task)
    assert {str(reading.features) for reading in readings} == {
        "5-mer",
        "5-mer of both strands",
        "6-mer",
        "6-mer of both strands",
        "positional pairs + 4-mer",
    }
    for reading in readings:
        x, dev = (reading.features(part) for part in (task.train, task.dev))
        regression = fit_linear(x, task.train.labels, dev=dev, dev_labels=task.dev.labels, strengths=[reading.strength])
        expected = regression.classifier.predict_log_proba(reading.features(task.test))
        codes = torch.from_numpy(np.stack(task.test.codes).astype(np.int64))
        np.testing.assert_allclose(reading.module(codes).log_softmax(dim=1).numpy(), expected, atol=1e-5)
        assert np.ptp(expected, axis=0).min() > 1e-3, "it says something"


def test_a_reading_of_both_strands_reads_either_alike():
    task = read_sequence_table(two_and_three_classes()[0])
    codes = np.stack(task.test.codes)
    for reading in fit_readings(task):
        ones, others = (reading.module(torch.from_numpy(side.astype(np.int64))) for side in (codes, reverse_complement(codes)))
        assert torch.allclose(ones, others, atol=1e-5) == reading.features.both_strands
