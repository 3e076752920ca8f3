"""Settings of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from r2mae_bio.config._settings import Settings, check_setting

__all__ = ["FinetuneConfig"]


@dataclass(frozen=True)
class FinetuneConfig(Settings):
    """How a classifier of sequences is trained end to end.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """

    learning_rate: float = 3e-3
    """Largest step size of the head."""
    encoder_rate: float = 1.0
    """Step size of the encoder's last layer, as a share of the head's."""
    layer_decay: float = 1.0
    """Step size of a layer as a share of that of the layer above it."""
    weight_decay: float = 0.01
    """Decay of weights with two or more axes, per unit of step size."""
    batch_size: int = 64
    """Sequences per step; a batch has sequences of one length."""
    n_steps: int | None = None
    """Steps of the schedule; None takes about six passes over the training rows, at least 500 and
    at most 2,000 steps.
    """
    warmup: float = 0.1
    """Share of the steps in which the step size grows; after them it falls along a cosine."""
    evaluate_every: int | None = None
    """Steps between two looks at the dev rows; None takes a pass over the training rows, at most
    250 and at least 25 steps.
    """
    patience: int = 6
    """Looks at the dev rows without a better MCC after which training stops."""
    dropout: float = 0.2
    """Probability of dropping a feature in the head."""
    n_hidden: int = 64
    """Features of each reading of the head."""
    n_projected: int = 8
    """Width of the states that the head reads by position."""
    average: float = 0.99
    """Decay per step of the running mean of the weights, which is what is scored and kept; 0 keeps
    the last weights instead.
    """
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of matrix products in training; ``"auto"`` takes bfloat16 where the device has
    instructions for it. Dev rows are scored in float32.
    """
    reverse_complement: bool | Literal["auto"] = "auto"
    """Train on either strand at random and predict by the mean of both; ``"auto"`` asks the dev
    rows, see :func:`r2mae_bio.dna.fit._linear.strands_agree`.
    """
    linear_reading: bool = True
    """Add the logits of a logistic regression on k-mers, weighed on the dev rows, so that what
    counting knows is not lost.
    """

    def __post_init__(self) -> None:
        for name in ("learning_rate", "encoder_rate", "layer_decay"):
            check_setting(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; needed is a number above 0.")
        for name in ("warmup", "dropout", "average"):
            check_setting(0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}; needed is a number from 0 to below 1.")
        for name in ("batch_size", "patience", "n_hidden", "n_projected", "n_steps", "evaluate_every"):
            value = getattr(self, name)
            check_setting(value is None or value >= 1, f"{name} is {value}; needed is at least 1.")
        check_setting(self.weight_decay >= 0, f"weight_decay is {self.weight_decay}; needed is 0 or more.")

    def steps(self, n_batches: int) -> int:
        """Steps of the schedule for an epoch of ``n_batches`` batches."""
        return self.n_steps or min(max(6 * n_batches, 500), 2000)

    def evaluation_interval(self, n_batches: int) -> int:
        """Steps between two looks at the dev rows."""
        return self.evaluate_every or min(max(n_batches, 25), 250)
