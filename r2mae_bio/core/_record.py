"""What a saved model knows about itself, and its way to JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from r2mae_bio.config._form import check_form
from r2mae_bio.masking import ratio_law_from_json

if TYPE_CHECKING:
    from r2mae_bio.masking import RatioLaw

HISTORY: Any = list[dict[str, float]]
"""Type of a history in plain data."""
_PLAIN: dict[str, Any] = {
    "seed": int,
    "data_fingerprint": str,
    "history": HISTORY,
    "mask_ratios": list[int],
    "blind_loss": float,
    "train": dict[str, Any],
    "trained": bool,
}


@dataclass(eq=False, kw_only=True)
class ModelRecord:
    """Everything of a model but its weights, as far as all models have it; a subclass adds what its
    data need.
    """

    config: Any
    """Sizes of the network, a frozen dataclass of :mod:`r2mae_bio.config`."""
    law: RatioLaw
    """Law of the mask ratio."""
    seed: int
    """Seed of every random stream."""
    data_fingerprint: str = ""
    """sha256 of the training data."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch."""
    mask_ratios: list[int] = field(default_factory=list)
    """Rows trained on, by bin of their realised ratio."""
    blind_loss: float = float("nan")
    """Loss of a prediction that sees nothing."""
    train: dict[str, Any] = field(default_factory=dict)
    """Settings of the last training run."""
    trained: bool = False
    """Whether the weights were trained at all."""

    def to_json(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_json` makes an equal record; a subclass adds its own
        fields.
        """
        shared = {"config": self.network_settings(), "law": self.law.to_json()}
        return shared | {name: getattr(self, name) for name in _PLAIN}

    def network_settings(self) -> dict[str, Any]:
        """What is written of ``config``, and what tells one network from another."""
        settings: dict[str, Any] = self.config.to_json()
        return settings

    @staticmethod
    def before_there_was_a_choice() -> dict[str, Any]:
        """What those settings of ``config`` were that older versions lack, where that is not what
        they are by default today.
        """
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record that :meth:`to_json` described.

        Parameters
        ----------
        data
            The plain data; keys that are no fields are ignored.

        Returns
        -------
        The record.

        Raises
        ------
        KeyError, TypeError, ConfigError, DataError
            Something is missing or misstated.
        """
        check_form(data, _PLAIN)
        shared = {name: data[name] for name in _PLAIN}
        law = ratio_law_from_json(data["law"])
        check_form(data["law"], dict.fromkeys(law.to_json(), Any))  # none of its parameters is left to chance
        return cls(law=law, **shared, **cls._own_fields(data))

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        """``config`` and the fields that a subclass adds, from plain data."""
        raise NotImplementedError
