"""Fine-tuning: what it learns, what it leaves alone, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics
from torch import nn

from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig
from r2mae_bio.errors import CheckpointError, ConfigError, CorruptCheckpointError, DataError, SetupError, TrainingError
from r2mae_bio.io import (
    decode_bases,
    encode_bases,
    encode_sequences,
    kmer_counts,
    positional_one_hot,
    read_sequence_table,
    reverse_complement,
)
from r2mae_bio.model import SequenceClassifier, finetune_sequences
from r2mae_bio.nn import DNAMaskedAutoencoder, SequenceClassifierHead
from r2mae_bio.train import (
    FinetuneConfig,
    SequenceGroups,
    class_metrics,
    encoder_depths,
    finetune_classifier,
    matthews_correlation,
    predict_classes,
    strands_agree,
)

LENGTH = 24
MOTIF = encode_bases("GATTAC")


@dataclass(frozen=True)
class ToySettings:
    d_model: int = 16


class ToyEncoder(nn.Module):
    """A base and its neighbours, in two blocks."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.config = ToySettings()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.embed = nn.Embedding(5, 16)
            self.blocks = nn.ModuleList(nn.Conv1d(16, 16, 7, padding=3) for _ in range(2))
            self.norm = nn.LayerNorm(16)

    def states(self, codes: torch.Tensor) -> torch.Tensor:
        x = self.embed(codes).transpose(1, 2)
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.norm(x.transpose(1, 2))


def random_codes(n: int, length: int = LENGTH, *, seed: int = 0) -> np.ndarray:
    return derive_generator(seed, "toy").integers(0, 4, (n, length)).astype(np.uint8)


def plant(codes: np.ndarray, rows: np.ndarray, motif: np.ndarray, *, seed: int = 0, at: int | None = None) -> None:
    rng = derive_generator(seed, "plant")
    for row in rows:
        start = int(rng.integers(0, codes.shape[1] - len(motif) + 1)) if at is None else at
        codes[row, start : start + len(motif)] = motif


def frame(codes: np.ndarray, labels: np.ndarray, n_dev: int, n_test: int) -> pd.DataFrame:
    split = np.array(["train"] * (len(codes) - n_dev - n_test) + ["dev"] * n_dev + ["test"] * n_test)
    return pd.DataFrame({"sequence": decode_bases(codes), "label": labels, "split": split})


def motif_frame(n: int = 600) -> pd.DataFrame:
    """Class 1 holds the motif somewhere, on either strand."""
    codes, labels = random_codes(n), np.arange(n) % 2
    plant(codes, np.flatnonzero(labels), MOTIF)
    codes[::4] = reverse_complement(codes[::4])
    codes[1::4] = reverse_complement(codes[1::4])
    return frame(codes, labels, 100, 100)


def place_frame(n: int = 500) -> pd.DataFrame:
    """Every sequence holds the motif; class 1 has it in the first half. Composition says nothing."""
    codes, labels = random_codes(n, seed=1), np.arange(n) % 2
    plant(codes, np.flatnonzero(labels == 1), MOTIF, at=2)
    plant(codes, np.flatnonzero(labels == 0), MOTIF, at=LENGTH - 8)
    return frame(codes, labels, 100, 100)


QUICK = FinetuneConfig(
    n_steps=150, evaluate_every=25, batch_size=32, learning_rate=5e-3, average=0.9, patience=10, reverse_complement=False
)


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


@pytest.mark.parametrize("k", [1, 3])
def test_kmer_counts_are_those_of_a_search(k):
    sequences = ["ACGTTNACG", "GG", "TTTTTTA", "C"]
    words = ["".join(word) for word in product("ACGT", repeat=k)]
    expected = [[sum(s[i : i + k] == word for i in range(len(s))) for word in words] for s in sequences]
    np.testing.assert_array_equal(kmer_counts(encode_sequences(sequences), k).toarray(), expected)


def test_kmers_of_both_strands_do_not_tell_them_apart():
    codes = random_codes(20)
    both = kmer_counts(codes, 4, both_strands=True)
    assert (both != kmer_counts(reverse_complement(codes), 4, both_strands=True)).nnz == 0
    assert (kmer_counts(codes, 4) != kmer_counts(reverse_complement(codes), 4)).nnz > 0
    np.testing.assert_array_equal(both.sum(axis=1), kmer_counts(codes, 4).sum(axis=1))


def test_positions_are_those_of_the_words():
    codes = random_codes(5, 6)
    codes[0, 2] = 4
    for k in (1, 2):
        dense = positional_one_hot(codes, k=k).toarray().reshape(5, 6 - k + 1, 4**k)
        for row, start in np.ndindex(dense.shape[:2]):
            word = codes[row, start : start + k]
            expected = np.zeros(4**k)
            if word.max() < 4:
                expected[int("".join(map(str, word)), 4)] = 1
            np.testing.assert_array_equal(dense[row, start], expected)
    with pytest.raises(DataError, match="shape"):
        positional_one_hot(codes[0])


def test_batches_hold_every_row_once_and_one_length():
    codes = [random_codes(1, length, seed=i)[0] for i, length in enumerate([5, 9, 5, 7, 9, 5, 5])]
    groups = SequenceGroups(codes)
    for batches in (list(groups.shuffled(2, derive_generator(0, "x"))), list(groups.in_order(2))):
        assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(7))
        assert len(batches) == groups.n_batches(2) == 4
        assert all((codes[row] == line).all() for rows, block in batches for row, line in zip(rows, block, strict=True))


@pytest.fixture(scope="module")
def motif_run():
    encoder, seen = ToyEncoder(), []
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    generator_before = torch.get_rng_state()
    result = finetune_classifier(encoder, read_sequence_table(motif_frame()), config=QUICK, on_evaluation=seen.append)
    assert torch.equal(generator_before, torch.get_rng_state()), "the global generator moved"
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items()), "the encoder changed"
    return result, seen


def test_a_motif_is_learned_wherever_it_stands(motif_run):
    result, seen = motif_run
    test = read_sequence_table(motif_frame()).test
    found = class_metrics(test.labels, predict_classes(result.network, SequenceGroups(test.codes), both_strands=False))
    assert found["mcc"] > 0.8
    assert result.history == seen
    assert [row["step"] for row in seen] == list(range(25, 151, 25))[: len(seen)]


def test_the_best_weights_on_dev_rows_are_kept(motif_run):
    result, _ = motif_run
    dev = read_sequence_table(motif_frame()).dev
    found = class_metrics(dev.labels, predict_classes(result.network, SequenceGroups(dev.codes), both_strands=False))
    assert found["mcc"] == pytest.approx(max(row["dev_mcc"] for row in result.history))


def test_the_test_rows_change_nothing(motif_run):
    other = motif_frame()
    rows = other["split"] == "test"
    other.loc[rows, "label"] = 1 - other.loc[rows, "label"]
    other.loc[rows, "sequence"] = other.loc[rows, "sequence"].to_numpy()[::-1]
    again = finetune_classifier(ToyEncoder(), read_sequence_table(other), config=QUICK)
    assert again.history == motif_run[0].history
    shorter = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 25})
    histories = [finetune_classifier(ToyEncoder(), read_sequence_table(other), config=shorter, seed=s).history for s in (1, 2)]
    assert histories[0] != histories[1], "seeds draw the same"


def test_only_the_reading_by_position_tells_where_a_motif_stands():
    table = read_sequence_table(place_frame())
    result = finetune_classifier(ToyEncoder(), table, config=QUICK)
    scores = predict_classes(result.network, SequenceGroups(table.test.codes), both_strands=False)
    assert class_metrics(table.test.labels, scores)["mcc"] > 0.9
    torch.manual_seed(0)
    states = torch.randn(3, LENGTH, 16)
    shuffled = states[:, torch.randperm(LENGTH)]
    blind, sighted = SequenceClassifierHead(16, 2).eval(), SequenceClassifierHead(16, 2, length=LENGTH).eval()
    torch.testing.assert_close(blind(states), blind(shuffled))
    assert not torch.allclose(sighted(states), sighted(shuffled))


def test_strands_agree_unless_the_label_is_the_direction_of_a_motif():
    assert strands_agree(read_sequence_table(motif_frame(1600)))
    directed = motif_frame(1600)
    codes, labels = random_codes(1600), directed["label"].to_numpy()
    plant(codes, np.flatnonzero(labels == 1), MOTIF)
    plant(codes, np.flatnonzero(labels == 0), reverse_complement(MOTIF))
    assert not strands_agree(read_sequence_table(directed.assign(sequence=decode_bases(codes))))


def test_both_strands_give_one_answer():
    table = read_sequence_table(motif_frame())
    config = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 25, "reverse_complement": True})
    result = finetune_classifier(ToyEncoder(), table, config=config)
    assert result.both_strands
    sides = [[reverse_complement(c) for c in table.test.codes], table.test.codes]
    scores = [predict_classes(result.network, SequenceGroups(side), both_strands=True) for side in sides]
    np.testing.assert_allclose(*scores, atol=1e-6)


class StopAt:
    """Ctrl-C at a look at the dev rows."""

    def __init__(self, nth: int) -> None:
        self.nth, self.n = nth, 0

    def __call__(self, row: dict[str, float]) -> None:
        self.n += 1
        if self.n == self.nth:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_best_so_far(caplog):
    table = read_sequence_table(motif_frame())
    result = finetune_classifier(ToyEncoder(), table, config=QUICK, on_evaluation=StopAt(2))
    assert result.interrupted
    assert "interrupted" in caplog.text
    dev = class_metrics(table.dev.labels, predict_classes(result.network, SequenceGroups(table.dev.codes), both_strands=False))
    assert dev["mcc"] == pytest.approx(result.history[0]["dev_mcc"])
    with pytest.raises(KeyboardInterrupt):
        finetune_classifier(ToyEncoder(), table, config=QUICK, on_evaluation=StopAt(1))


def test_a_loss_that_is_not_finite_is_named():
    encoder = ToyEncoder()
    with torch.no_grad():
        encoder.blocks[0].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="nan at step 1"):
        finetune_classifier(encoder, read_sequence_table(motif_frame()), config=QUICK)


def test_depth_grows_downwards():
    depths = encoder_depths(ToyEncoder())
    assert depths["embed.weight"] == 2
    assert depths["blocks.0.weight"] == 1
    assert depths["blocks.1.weight"] == depths["norm.weight"] == 0
    dropping = encoder_depths(DNAMaskedAutoencoder(DNAConfig(d_model=8, n_layers=2, n_heads=2, hiding="drop")))
    assert dropping["embedding.weight"] == 2
    assert dropping["blocks.1.feed_forward.0.weight"] == dropping["refill.feed_forward.0.weight"] == 0


@pytest.mark.parametrize(
    "setting", [{"dropout": 1.0}, {"batch_size": 0}, {"learning_rate": 0}, {"reverse_complement": "no"}, {"precision": "half"}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        FinetuneConfig(**setting)


def test_settings_return_from_json():
    assert FinetuneConfig.from_json(QUICK.to_json()) == QUICK
    with pytest.raises(ConfigError, match="Unknown"):
        FinetuneConfig.from_json({"colour": 1})


@pytest.fixture(scope="module")
def classifier() -> SequenceClassifier:
    config = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 50})
    table = motif_frame().replace({"label": {0: "closed", 1: "open"}})
    return finetune_sequences(ToyEncoder(), table, config=config, pretrained="abc")


def test_a_classifier_returns_from_disk(classifier, tmp_path):
    table = motif_frame()
    sequences = table["sequence"][:30]
    folder = classifier.save(tmp_path / "saved")
    again = SequenceClassifier.load(folder, encoder=ToyEncoder(seed=5))
    pd.testing.assert_frame_equal(again.predict_proba(sequences), classifier.predict_proba(sequences))
    assert again.record == classifier.record
    assert list(again.predict_proba(sequences).index) == [str(name) for name in sequences.index]
    assert set(again.predict(sequences)) <= {"closed", "open"}
    with pytest.raises(CheckpointError, match="ToyEncoder"):
        SequenceClassifier.load(folder)
    with pytest.raises(CheckpointError, match="exists"):
        classifier.save(folder)
    (folder / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorruptCheckpointError):
        SequenceClassifier.load(folder, encoder=ToyEncoder())


def test_a_network_of_the_package_needs_no_help_to_return(tmp_path):
    config = FinetuneConfig(**{**QUICK.to_json(), "n_steps": 2})
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


def test_tables_that_cannot_be_used_say_why(tmp_path):
    table = motif_frame(240)
    with pytest.raises(SetupError, match="'split'"):
        read_sequence_table(table.drop(columns="split"))
    with pytest.raises(DataError, match="'valid'"):
        read_sequence_table(table.replace({"split": {"dev": "valid"}}))
    with pytest.raises(DataError, match="two classes"):
        read_sequence_table(table[table["label"] == 1])
    with pytest.raises(DataError, match="no class|No train row has the class"):
        read_sequence_table(table.assign(label=np.where(table["split"] == "test", 7, table["label"])))
    with pytest.raises(DataError, match="cannot be read"):
        read_sequence_table(tmp_path / "nothing.tsv")


def test_dev_rows_are_drawn_from_train_rows_by_seed(tmp_path):
    table = motif_frame(240)
    table = table[table["split"] != "dev"]
    table.to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False)
    drawn = [read_sequence_table(tmp_path / "t.tsv.gz", seed=seed) for seed in (0, 0, 1)]
    assert all(t.dev_from_train and len(t.dev) == 4 and len(t.test) == 100 for t in drawn)
    names = [sorted(codes.tobytes() for codes in t.dev.codes) for t in drawn]
    assert names[0] == names[1] != names[2]
    assert not set(names[0]) & {codes.tobytes() for codes in drawn[0].train.codes}
    assert np.bincount(drawn[0].dev.labels).tolist() == [2, 2]
