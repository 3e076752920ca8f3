"""A fine-tuned classifier of sequences: its way to disk, its evaluation, what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.config import DNAConfig
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.dna.model._classifier import ClassifierRecord
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.errors import CheckpointError, ConfigError, CorruptCheckpointError, DataError
from r2mae_bio.model import SequenceClassifier, finetune_sequences

from ..toy_sequences import LINEAR, QUICK, ToyEncoder, motif_frame


@pytest.fixture(scope="module")
def classifier() -> SequenceClassifier:
    config = FinetuneConfig(**{**LINEAR.to_json(), "n_steps": 50})
    table = motif_frame().replace({"label": {0: "closed", 1: "open"}})
    return finetune_sequences(ToyEncoder(), table, config=config, pretrained="abc")


def test_a_classifier_can_be_moved(classifier, tmp_path):
    moved = SequenceClassifier.load(classifier.save(tmp_path / "saved"), encoder=ToyEncoder(seed=5))
    assert moved.device.type == "cpu"
    assert moved.to_device("meta") is moved  # a device that every machine has
    assert moved.device.type == "meta"
    assert all(p.device.type == "meta" for p in moved.network.parameters())


def test_a_classifier_returns_from_disk(classifier, tmp_path):
    table = motif_frame()
    sequences = table["sequence"][:30]
    folder = classifier.save(tmp_path / "saved")
    again = SequenceClassifier.load(folder, encoder=ToyEncoder(seed=5))
    pd.testing.assert_frame_equal(again.predict_proba(sequences), classifier.predict_proba(sequences))
    assert again.record == classifier.record
    assert "-mer" in repr(again)
    assert repr(again) == repr(classifier)
    assert list(again.predict_proba(sequences).index) == [str(name) for name in sequences.index]
    assert set(again.predict(sequences)) <= {"closed", "open"}
    with pytest.raises(CheckpointError, match="ToyEncoder"):
        SequenceClassifier.load(folder)
    with pytest.raises(CheckpointError, match="exists"):
        classifier.save(folder)
    (folder / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorruptCheckpointError):
        SequenceClassifier.load(folder, encoder=ToyEncoder())


@pytest.mark.parametrize("strands", ["auto", True])
def test_a_network_of_the_package_needs_no_help_to_return(tmp_path, strands):
    config = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 2, "reverse_complement": strands})
    encoder = DNAMaskedAutoencoder(DNAConfig(d_model=8, n_layers=1, n_heads=2, dilations=(2,)))
    classifier = finetune_sequences(encoder, motif_frame(), config=config)
    again = SequenceClassifier.load(classifier.save(tmp_path / "saved"))
    sequences = motif_frame()["sequence"][:20]
    pd.testing.assert_frame_equal(again.predict_proba(sequences), classifier.predict_proba(sequences))


def test_evaluation_is_over_the_whole_part(classifier):
    table = motif_frame().replace({"label": {0: "closed", 1: "open"}})
    rows = table[table["split"] == "test"]
    scores = classifier.predict_proba(rows["sequence"]).to_numpy()
    expected = class_metrics((rows["label"] == "open").to_numpy().astype(np.int64), scores)
    assert classifier.evaluate(table.sort_values("label")) == {**{k: pytest.approx(v) for k, v in expected.items()}, "n": 100}
    with pytest.raises(DataError, match="classes"):
        classifier.evaluate(motif_frame())
    with pytest.raises(ConfigError, match="part"):
        classifier.evaluate(table, part="everything")


def test_other_lengths_are_refused_and_named(classifier):
    with pytest.raises(DataError, match="24 bp"):
        classifier.predict_proba(["ACGT"])


def test_a_sequence_beyond_the_window_is_refused():
    with pytest.raises(DataError, match="24 bp, the model reads 20"):
        finetune_sequences(ToyEncoder(), motif_frame(), config=QUICK, window=20)


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_of_no_part(part):
    table = motif_frame().assign(
        sequence=lambda t: [text + "A" * (t["split"][i] == part) for i, text in enumerate(t["sequence"])]
    )
    with pytest.raises(DataError, match="25 bp, the model reads 24"):
        finetune_sequences(ToyEncoder(), table, config=QUICK, window=24)


def test_nor_by_a_classifier_of_any_length(tmp_path):
    table = motif_frame().assign(sequence=lambda t: [text[: 20 + i % 5] for i, text in enumerate(t["sequence"])])
    quick = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 2})
    classifier = finetune_sequences(ToyEncoder(), table, config=quick, window=24)
    folder = classifier.save(tmp_path / "saved")
    again = SequenceClassifier.load(folder, encoder=ToyEncoder())
    assert again.record == classifier.record
    assert again.record.length is None
    assert "up to 24 bp" in repr(again)
    assert len(again.predict_proba(["A" * 24, "ACGT"])) == 2
    longer = table.assign(sequence=table["sequence"] + "ACGTA")
    for read in (lambda: again.predict_proba(["A" * 25]), lambda: again.evaluate(longer)):
        with pytest.raises(DataError, match="bp, the model reads 24; cut the sequences"):
            read()


def test_a_record_of_before_there_was_a_window(classifier):
    assert "window" not in classifier.record.to_json()
    assert ClassifierRecord.from_json(classifier.record.to_json()) == classifier.record
    assert "24 bp" in repr(classifier)
