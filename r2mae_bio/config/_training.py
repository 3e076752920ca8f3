"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Self

from r2mae_bio.config._names import PLAN, TRAIN, check_names
from r2mae_bio.config._settings import Settings, check_setting

__all__ = ["TRAIN_INSTEAD", "GeneTrainConfig", "TrainConfig"]

_PLAN_NAMES: Final = {"lr": "learning_rate", "weight_decay": "weight_decay"}


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Settings of one training run, of whatever model; a row is a cell or a window of a genome."""

    max_epochs: int
    """Passes over the training rows."""
    batch_size: int = 128
    """Rows per optimiser step."""
    train_size: float = 0.9
    """Share of the rows that are trained on; the rest is validation."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises; it then falls along a cosine to 1% of
    its peak.
    """
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    early_stopping: bool = False
    """Stop when the validation loss no longer falls, and return to the best epoch."""
    patience: int = 20
    """Epochs without improvement before stopping early."""

    @classmethod
    def of_call(cls, shown: dict[str, Any], others: dict[str, Any] | None, plan: dict[str, Any] | None = None) -> Self:
        """Settings as the arguments of a ``train`` method give them.

        Parameters
        ----------
        shown
            Those that are arguments of their own.
        others
            ``train_kwargs``.
        plan
            ``plan_kwargs``, by the names of scvi-tools.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            A setting is unknown, given twice, of another type, or cannot work.
        """
        check_names(plan or {}, _PLAN_NAMES, what="plan_kwargs", instead=PLAN)
        renamed = {name: f'it is named "{ours}" here' for name, ours in _PLAN_NAMES.items() if name != ours}
        check_names(others or {}, [field.name for field in fields(cls)], what="train_kwargs", instead={**PLAN, **renamed})
        named = [shown, others or {}, {_PLAN_NAMES[name]: value for name, value in (plan or {}).items()}]
        twice = sorted({name for i, some in enumerate(named) for name in some if any(name in more for more in named[:i])})
        check_setting(
            not twice,
            f"{', '.join(twice)} given twice, as arguments of train(), in train_kwargs or in plan_kwargs; give each once.",
        )
        return cls(**{name: value for some in named for name, value in some.items()})

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", "patience"):
            value = getattr(self, name)
            check_setting(value > 0, f"{name} is {value!r}; needed is a positive integer.")
        check_setting(0 < self.train_size <= 1, f"train_size is {self.train_size}; needed is a share in (0, 1].")
        check_setting(self.learning_rate > 0, f"learning_rate is {self.learning_rate}; needed is a positive rate.")
        check_setting(self.weight_decay >= 0, f"weight_decay is {self.weight_decay}; needed is at least 0.")
        check_setting(0 <= self.warmup < 1, f"warmup is {self.warmup}; needed is a share of the steps in [0, 1).")
        check_setting(self.gradient_clip > 0, f"gradient_clip is {self.gradient_clip}; needed is a positive norm.")
        check_setting(
            not (self.early_stopping and self.train_size == 1),
            "early_stopping needs validation rows; give train_size below 1.",
        )


@dataclass(frozen=True)
class GeneTrainConfig(TrainConfig):
    """Settings of one training run of a gene model; a row is a cell."""

    read_rate: float | None = None
    """Learning rate of the least-squares read, in units of ``learning_rate``; None for 0 where it
    starts at a factor analysis, which training hardly moves, and .1 where it starts at random
    weights.
    """
    decoder_decay: float = 10.0
    """Decoupled weight decay of the decoder's per-gene weights, most of all parameters and the
    first to overfit.
    """
    dispersion_rate: float = 30.0
    """Learning rate of the dispersions, in units of ``learning_rate``: they are logarithms, and
    start far from where they belong.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("read_rate", "decoder_decay", "dispersion_rate"):
            value = getattr(self, name)
            check_setting(value is None or value >= 0, f"{name} is {value}; needed is at least 0.")


TRAIN_INSTEAD: Final = {
    **{field.name: f'write train_kwargs={{"{field.name}": ...}}' for field in fields(GeneTrainConfig)},
    **TRAIN,
}
"""What to write for an argument that a ``train`` method does not have."""
