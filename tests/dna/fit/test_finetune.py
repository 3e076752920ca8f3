"""Fine-tuning: what it learns, what it leaves alone, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax
from sklearn import metrics
from torch import nn

from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.core._class_metrics import class_metrics, matthews_correlation
from r2mae_bio.dna.fit._finetune import encoder_depths, finetune_classifier
from r2mae_bio.dna.fit._linear import fit_linear, strands_agree
from r2mae_bio.dna.fit._linear_readings import FittedReading, KmerFeatures, choose_mix, fit_readings, log_loss, pick_reading
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes, predict_logits
from r2mae_bio.dna.network._classifier import SequenceClassifierHead
from r2mae_bio.dna.network._linear_reading import LinearReading
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
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
    """Every sequence holds the motif; class 1 has it in the first half. Composition says
    nothing.
    """
    codes, labels = random_codes(n, seed=1), np.arange(n) % 2
    plant(codes, np.flatnonzero(labels == 1), MOTIF, at=2)
    plant(codes, np.flatnonzero(labels == 0), MOTIF, at=LENGTH - 8)
    return frame(codes, labels, 100, 100)


QUICK = FinetuneConfig(
    n_steps=150,
    evaluate_every=25,
    batch_size=32,
    learning_rate=5e-3,
    average=0.9,
    patience=10,
    reverse_complement=False,
    linear_reading=False,
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


# ---------------------------------------------------------------- the linear reading


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


def test_weights_are_of_words_and_of_places():
    reading = LinearReading(2, 2, position_k=1, length=4)
    by_word, by_position = torch.zeros(16, 2), torch.zeros(4, 4, 2)
    by_word[1, 0], by_position[2, 3, 1] = 1.0, 10.0  # AC anywhere, T at the third base
    reading.fill(torch.tensor([0.5, 0.25]), by_word, by_position)
    codes = torch.from_numpy(np.stack([encode_bases(s) for s in ("ACAC", "GGTG", "ANCG", "TTNT")]).astype(np.int64))
    assert reading(codes).tolist() == [[2.5, 0.25], [0.5, 10.25], [0.5, 0.25], [0.5, 0.25]]
    with pytest.raises(DataError, match="3 bp; needed are the 4 bp"):
        reading(codes[:, :3])
    assert LinearReading(2, 6)(codes).tolist() == [[0, 0]] * 4, "shorter than a word"
    assert not list(reading.parameters())


def test_positions_need_one_length():
    table = motif_frame(240)
    table["sequence"] = [sequence[: 18 + i % 3] for i, sequence in enumerate(table["sequence"])]
    readings = fit_readings(read_sequence_table(table))
    assert not any(reading.features.position_k for reading in readings)


def logits(labels: np.ndarray, *, weight: float, seed: int, noise: float = 1.0) -> np.ndarray:
    """Log odds that are right if ``weight`` is: the label's sign plus noise."""
    signal = (2 * labels - 1) + noise * derive_generator(seed, "logits").normal(size=len(labels))
    return np.stack([-weight * signal / 2, weight * signal / 2], axis=1)[None]


def test_the_mix_leaves_out_noise_and_weighs_evidence():
    labels = derive_generator(0, "labels").integers(0, 2, 4000)
    noise = 3 * derive_generator(1, "noise").normal(size=(1, 4000, 2))
    good = logits(labels, weight=2.0, seed=2)  # sign + normal noise: the log odds are twice the signal
    (a, b), loss = choose_mix(good, noise, labels)
    assert b == 0
    assert a == 1
    assert choose_mix(noise, good, labels)[0] == (0, 1)
    assert loss == pytest.approx(-log_softmax(good[0], axis=1)[np.arange(4000), labels].mean())
    # Two independent witnesses: the log odds add up, and one that is four times too sure is turned
    # down.
    other = logits(labels, weight=8.0, seed=3)
    assert choose_mix(good, other, labels)[0] == (1, 0.25)
    assert choose_mix(good, 0 * good, labels)[0] == (1, 0), "of equally good ones the states alone"


def test_the_mix_judges_the_mean_over_strands():
    """The second strand says the opposite as surely, so the mean over strands is even and nothing
    is better than nothing.
    """
    labels = np.arange(200) % 2
    one = logits(labels, weight=4.0, seed=0, noise=0.0)
    both = np.concatenate([one, -one])
    weak = np.concatenate([logits(labels, weight=0.5, seed=0, noise=0.0)] * 2)
    (a, b), loss = choose_mix(both, weak, labels)
    assert (a, b) == (0, 4)
    assert loss == pytest.approx(np.log1p(np.exp(-2.0)))


class BlindEncoder(ToyEncoder):
    """Its states say nothing."""

    def states(self, codes: torch.Tensor) -> torch.Tensor:
        return 0 * super().states(codes)


LINEAR = FinetuneConfig(**{**QUICK.to_json(), "linear_reading": True})


@pytest.fixture(scope="module")
def motif_readings():
    return fit_readings(read_sequence_table(motif_frame()))


def test_blind_states_leave_the_regression(motif_readings):
    table = read_sequence_table(motif_frame())
    config = FinetuneConfig(**{**LINEAR.to_json(), "n_steps": 5})
    result = finetune_classifier(BlindEncoder(), table, config=config, readings=motif_readings)
    choice = result.linear
    picked, score = pick_reading(motif_readings, table.dev, both_strands=False)
    assert choice.linear_weight > 0
    assert choice.features == picked.features
    assert (choice.dev_mcc, choice.dev_loss) == (score["mcc"], score["loss"])
    test = SequenceGroups(table.test.codes)
    ours, regression = (predict_classes(module, test, both_strands=False) for module in (result.network, picked.module))
    correlation = np.corrcoef(*(np.log(p[:, 1] / p[:, 0]) for p in (ours, regression)))[0, 1]
    assert correlation == pytest.approx(1, abs=1e-4), "the states add a constant at most"
    assert str(choice.features) in str(choice)


def test_a_reading_that_says_nothing_leaves_the_states():
    table = read_sequence_table(motif_frame())
    noise = KmerFeatures(5).reading(2, LENGTH)
    noise.fill(torch.zeros(2), torch.from_numpy(5 * derive_generator(0, "weights").normal(size=(4**5, 2))))
    result = finetune_classifier(ToyEncoder(), table, config=LINEAR, readings=[FittedReading(KmerFeatures(5), 1.0, noise)])
    assert result.linear.linear_weight == 0
    dev = SequenceGroups(table.dev.codes)
    mixed, alone = (predict_logits(n, dev, both_strands=False) for n in (result.network, result.network.states_alone()))
    np.testing.assert_allclose(mixed, result.linear.states_weight * alone, rtol=1e-5)


def test_both_readings_together_lose_no_more_than_either(motif_run, motif_readings):
    table = read_sequence_table(motif_frame())
    result = finetune_classifier(ToyEncoder(), table, config=LINEAR, readings=motif_readings)
    assert result.history == motif_run[0].history, "the states are trained as without it"
    choice, dev = result.linear, SequenceGroups(table.dev.codes)
    assert choice.mixed_dev_loss <= choice.dev_loss
    loss = log_loss(predict_classes(result.network, dev, both_strands=False), table.dev.labels)
    assert loss == pytest.approx(choice.mixed_dev_loss, rel=1e-4)
    alone = predict_classes(result.network.states_alone(), dev, both_strands=False)
    assert choice.mixed_dev_loss <= log_loss(alone, table.dev.labels)
    np.testing.assert_array_equal(alone, predict_classes(motif_run[0].network, dev, both_strands=False))
    other = motif_frame()
    rows = other["split"] == "test"
    other.loc[rows, "label"] = 1 - other.loc[rows, "label"]
    refitted = finetune_classifier(ToyEncoder(), read_sequence_table(other), config=LINEAR)
    assert refitted.linear == choice, "the test rows changed the choice"


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
