"""What a saved DNA model knows beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

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
    "alignment": dict[str, Any],
}
"""What only a DNA model knows, and its types in plain data."""
_YOUNG: Final = ("alignment",)
"""What files of older versions lack."""

_ALIGNED: Final[dict[str, Any]] = {"n_species": 0, "target": "genome"}
"""What a configuration that is silent of it says."""
_ALIGNMENT: dict[str, Any] = {"reference": str, "species": list[str], "digest": str}


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
    """Nats per held-out base of Markov models of the training part, by order, and of what columns
    say alone, by name.
    """
    shared: dict[str, Any] = field(default_factory=dict)
    """How many 24-mers of the held-out part also occur in the training part."""
    alignment: dict[str, Any] = field(default_factory=dict)
    """What is read beside the bases: ``reference`` and ``species`` (names, in the order of the
    weights), and ``digest`` of the alignment that the model was made with; empty without one.
    """

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the aligned species."""
        return tuple(self.alignment.get("species", ()))

    def network_settings(self) -> dict[str, Any]:
        """The configuration; without what only an alignment brings where there is none, as in files
        of before there were any.
        """
        settings = super().network_settings()
        return {name: value for name, value in settings.items() if name not in _ALIGNED or value != _ALIGNED[name]}

    def to_json(self) -> dict[str, Any]:
        """Plain data; without an alignment, as before there were any."""
        own = {name: getattr(self, name) for name in _OWN if name not in _YOUNG or getattr(self, name)}
        return super().to_json() | own

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        check_form(data, _OWN, optional=_YOUNG)
        own = {name: data[name] for name in _OWN if name in data}
        check_setting(
            2 <= own["window"] < 2**31, f"window is {own['window']}; needed are at least 2 bases, and fewer than 2**31."
        )
        config = DNAConfig.from_json({**_ALIGNED, **data["config"]}, complete=True)
        aligned = own.get("alignment", {})
        check_form(aligned, _ALIGNMENT if config.n_species else {})
        n = len(aligned.get("species", ()))
        check_setting(n == config.n_species, f"There are names of {n} species for {config.n_species} that are read.")
        return {"config": config, **own}
