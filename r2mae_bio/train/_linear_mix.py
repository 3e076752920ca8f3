"""How much of each of two readings: weights of their logits, chosen on dev rows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["choose_mix", "log_loss"]

WEIGHTS: Final = (0.0, *(float(2 ** (i / 2)) for i in range(-8, 5)))
"""Weights that are tried: none, and from 1/16 to 4 in steps of the square root of two."""
_LEAST: Final = 1e-12
"""A probability of zero counts as this, so that the loss stays finite."""


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean negative log-probability of the true class in nats, of probabilities (rows, K) and labels (rows,)."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, _LEAST)).mean())


def choose_mix(
    states: NDArray[np.floating], linear: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[tuple[float, float], float]:
    """Weights (a, b) for which the probabilities of ``a * states + b * linear`` lose least.

    Either reading alone, at any of the weights, is among the candidates; of equally good ones the first has the smaller b.

    Parameters
    ----------
    states, linear
        Logits of each strand (strands, rows, K); probabilities are the mean over the first axis.
    labels
        Classes, 0 to K - 1 (rows,).

    Returns
    -------
    The weights, neither negative and not both zero, and the loss in nats.
    """
    states, linear = states.astype(np.float64), linear.astype(np.float64)
    pairs = [(a, b) for b, a in itertools.product(WEIGHTS, repeat=2) if a + b > 0]
    losses = [log_loss(softmax(a * states + b * linear, axis=-1).mean(axis=0), labels) for a, b in pairs]
    best = int(np.argmin(losses))
    return pairs[best], losses[best]
