"""Settings of fine-tuning on cells."""

from __future__ import annotations

from dataclasses import dataclass

from r2mae_bio.config._settings import Settings, check_setting

__all__ = ["CellFinetuneConfig"]


@dataclass(frozen=True)
class CellFinetuneConfig(Settings):
    """How a classifier of cells is trained.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """

    learning_rate: float = 1e-3
    """Largest step size of the head."""
    encoder_rate: float = 1.0
    """Step size of the encoder, as a share of the head's; without effect if the encoder is
    frozen.
    """
    read_rate: float = 0.1
    """Step size of the least-squares read, as a share of the encoder's."""
    weight_decay: float = 0.01
    """Decay of weights with two or more axes, per unit of step size."""
    batch_size: int = 128
    """Cells per step."""
    n_steps: int | None = None
    """Steps of the schedule; None takes about ten passes over the training cells, at least 200 and
    at most 2,000 steps.
    """
    warmup: float = 0.1
    """Share of the steps in which the step size grows; after them it falls along a cosine."""
    evaluate_every: int | None = None
    """Steps between two looks at the dev cells; None takes a pass over the training cells, at most
    250 and at least 20 steps.
    """
    patience: int = 6
    """Looks at the dev cells without a smaller loss after which training stops."""
    n_hidden: int = 0
    """Features of a hidden layer beside the linear head; 0 leaves it out."""
    dropout: float = 0.1
    """Probability of dropping a feature of the hidden layer."""
    average: float = 0.99
    """Decay per step of the running mean of the weights, which is what is scored and kept; 0 keeps
    the last weights instead.
    """
    full_share: float = 0.5
    """Share of the cells of a step of which every measured gene is seen; of the others a random
    part, by the model's law of the mask ratio.
    """
    dev_views: int = 2
    """Times that dev cells are scored with a random part of their genes hidden, beside once in
    full; both kinds weigh the same.
    """
    probe_strength: float = 1.0
    """Inverse L2 strength of the logistic regression on the frozen embeddings at which the head
    begins.
    """

    def __post_init__(self) -> None:
        for name in ("learning_rate", "encoder_rate", "probe_strength"):
            check_setting(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; needed is a number above 0.")
        for name in ("warmup", "dropout", "average"):
            check_setting(0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}; needed is a number from 0 to below 1.")
        for name in ("batch_size", "patience", "n_steps", "evaluate_every"):
            value = getattr(self, name)
            check_setting(value is None or value >= 1, f"{name} is {value}; needed is at least 1.")
        for name in ("read_rate", "weight_decay", "n_hidden", "dev_views"):
            check_setting(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; needed is 0 or more.")
        check_setting(0 <= self.full_share <= 1, f"full_share is {self.full_share}; needed is a share from 0 to 1.")

    def steps(self, n_batches: int) -> int:
        """Steps of the schedule for an epoch of ``n_batches`` batches."""
        return self.n_steps or min(max(10 * n_batches, 200), 2000)

    def evaluation_interval(self, n_batches: int) -> int:
        """Steps between two looks at the dev cells."""
        return self.evaluate_every or min(max(n_batches, 20), 250)
