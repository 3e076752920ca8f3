"""What a saved DNA model knows beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from r2mae_bio.config import DNAConfig
from r2mae_bio.config._form import check_form
from r2mae_bio.config._settings import check_setting
from r2mae_bio.core._record import ModelRecord

_OWN: dict[str, Any] = {
    "window": int,
    "contigs": dict[str, int],
    "split": dict[str, Any],
    "floors": dict[str, float],
    "shared": dict[str, Any],
}
"""What only a DNA model knows, and its types in plain data."""


@dataclass(eq=False, kw_only=True)
class DNARecord(ModelRecord):
    """Everything of a DNA model but its weights."""

    config: DNAConfig
    """Sizes."""
    window: int
    """Bases read at once."""
    contigs: dict[str, int] = field(default_factory=dict)
    """Lengths of the contigs of the genome it was made for, in bp, by name."""
    split: dict[str, Any] = field(default_factory=dict)
    """What was trained on and what was held out, see :meth:`r2mae_bio.io.GenomeSplit.to_json`."""
    floors: dict[str, float] = field(default_factory=dict)
    """Nats per held-out base of Markov models of the training part, by order."""
    shared: dict[str, Any] = field(default_factory=dict)
    """How many 24-mers of the held-out part also occur in the training part."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        own = {name: getattr(self, name) for name in _OWN}
        return super().to_json() | own

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        check_form(data, _OWN)
        own = {name: data[name] for name in _OWN}
        check_setting(
            2 <= own["window"] < 2**31, f"window is {own['window']}; needed are at least 2 bases, and fewer than 2**31."
        )
        return {"config": DNAConfig.from_json(data["config"], complete=True), **own}
