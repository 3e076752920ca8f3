"""Fine-tuning: what it learns, what it leaves alone, what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.dna.fit._finetune import encoder_depths, finetune_classifier
from r2mae_bio.dna.fit._linear_readings import FittedReading, KmerFeatures, fit_readings, log_loss, pick_reading
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes, predict_logits
from r2mae_bio.dna.network._classifier import SequenceClassifierHead
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.errors import TrainingError
from r2mae_bio.io import (
    read_sequence_table,
    reverse_complement,
)

from ..toy_sequences import LENGTH, LINEAR, MOTIF, QUICK, ToyEncoder, frame, motif_frame, plant, random_codes

if TYPE_CHECKING:
    import pandas as pd


def place_frame(n: int = 500) -> pd.DataFrame:
    """Every sequence holds the motif; class 1 has it in the first half. Composition says
    nothing.
    """
    codes, labels = random_codes(n, seed=1), np.arange(n) % 2
    plant(codes, np.flatnonzero(labels == 1), MOTIF, at=2)
    plant(codes, np.flatnonzero(labels == 0), MOTIF, at=LENGTH - 8)
    return frame(codes, labels, 100, 100)


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


class BlindEncoder(ToyEncoder):
    """Its states say nothing."""

    def states(self, codes: torch.Tensor) -> torch.Tensor:
        return 0 * super().states(codes)


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
