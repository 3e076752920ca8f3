"""What a saved DNA model knows beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from r2mae_bio.config import DNAConfig
from r2mae_bio.core._record import ModelRecord


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
        own = {name: getattr(self, name) for name in ("window", "contigs", "split", "floors", "shared")}
        return super().to_json() | own

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        own = {name: data[name] for name in ("window", "contigs", "split", "floors", "shared")}
        return {"config": DNAConfig.from_json(data["config"]), **own}
