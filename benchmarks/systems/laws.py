"""The laws that are compared, under one name each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from r2mae_bio.masking import Fixed, RatioLaw, Schedule, Uniform

if TYPE_CHECKING:
    from collections.abc import Collection

LAWS: Final[dict[str, RatioLaw]] = {
    "fixed .15": Fixed(0.15),
    "fixed .5": Fixed(0.5),
    "fixed .75": Fixed(0.75),
    "fixed .9": Fixed(0.9),
    "dynamic .3-.15": Schedule(0.30, 0.15),
    "dynamic .9-.15": Schedule(0.90, 0.15),
    "U(0,1) batch": Uniform(0, 1, scope="batch"),
    "U(0,1) row": Uniform(0, 1, scope="row"),
    "U(.1,.5) batch": Uniform(0.1, 0.5, scope="batch"),
    "U(.1,.5) row": Uniform(0.1, 0.5, scope="row"),
    "U(.1,.8) batch": Uniform(0.1, 0.8, scope="batch"),
    "U(.1,.8) row": Uniform(0.1, 0.8, scope="row"),
    "U(0,1) rectangle": Uniform(0, 1, scope="rectangle"),
}
"""By name. ``dynamic .3-.15`` is that of Ankner et al. (2023)."""
AUTO: Final = "auto"
"""The law that the theory of fresh masks recommends for the input; one draw for each row, or for
each batch where a network knows no other.
"""
UNMASKED: Final = "scVI"
"""No law: the model of another package as it is, beside one with a law."""
NAMES: Final = (*LAWS, AUTO, UNMASKED)
FIXED: Final = tuple(name for name, law in LAWS.items() if isinstance(law, Fixed))
REFERENCE: Final = "fixed .15"
RATIOS: Final = (0.15, 0.5, 0.75, 0.9)
"""Hidden shares at which every network is asked."""


def law_of(name: str, auto: tuple[float, float], scopes: Collection[str], *, moves: bool) -> RatioLaw | None:
    """The law of a name, or None where a network cannot be trained with it.

    Parameters
    ----------
    name
        One of :data:`NAMES` but :data:`UNMASKED`.
    auto
        What the theory recommends.
    scopes
        Those that the network knows.
    moves
        Whether it can be told how much of the training is done.
    """
    if name == AUTO:
        return Uniform(*auto, scope="row" if "row" in scopes else "batch")
    law = LAWS[name]
    if isinstance(law, Schedule) and not moves:
        return None
    if isinstance(law, Uniform):
        return law if law.scope in scopes else None
    return replace(law, scope="row" if "row" in scopes else "batch")  # one ratio for all: the scope says nothing
