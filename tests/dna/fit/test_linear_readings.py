"""Linear readings of sequences, and how they are mixed with a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import metrics

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.fit._finetune import LinearChoice
from r2mae_bio.dna.fit._linear_readings import KmerFeatures, choose_mix, fit_readings, log_loss
from r2mae_bio.io import read_sequence_table

from ..toy_sequences import motif_frame


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


def test_the_loss_is_that_of_scikit_learn():
    rng = derive_generator(0, "loss")
    for n_classes in (2, 5):
        labels, rows = rng.integers(0, n_classes, 300), rng.dirichlet(np.full(n_classes, 0.4), 300)
        expected = metrics.log_loss(labels, rows, labels=range(n_classes))
        assert log_loss(rows, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("lengths", [{"k": 0}, {"k": 13}, {"k": 10**30}, {"k": 4, "position_k": -1}, {"k": "4"}])
def test_words_that_no_reading_has_weights_for(lengths):
    with pytest.raises(ConfigError, match="needed are 1 to 12"):
        KmerFeatures(**lengths)


def test_a_choice_of_other_types_is_refused():
    plain = {"features": {"k": 4, "both_strands": False, "position_k": None}, "strength": 1.0, "dev_mcc": 0.5, "dev_loss": 0.5,
             "states_weight": 1, "linear_weight": 0.5, "mixed_dev_loss": 0.4}  # fmt: skip
    assert LinearChoice.from_json(plain).features == KmerFeatures(4)
    for change in ({"states_weight": "1"}, {"features": {"k": 4}}, {"features": None}, {"dev_mcc": None}):
        with pytest.raises(ConfigError, match="needed is|is missing"):
            LinearChoice.from_json({**plain, **change})
