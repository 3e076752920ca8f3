"""What a system hands to the runner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.masking import RatioLaw

HIGHER = "F1"
"""Measures whose name has this are better where they are larger; all others are losses."""
ALL_SCOPES = ("batch", "row", "rectangle")


class MissingDataError(Exception):
    """Data of another package are not there; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network reads, as numbers, for the theory."""

    rows: NDArray[np.float64]
    """Training rows, or some of them (n, d); no column is constant."""
    n: int
    """Number of training rows."""


@dataclass(frozen=True, eq=False)
class Network:
    """What is trained, under a law."""

    train: Callable[[RatioLaw | None], dict[str, float]]
    """Train under a law and measure; None for the model without one."""
    inputs: str
    """Name of its inputs."""
    scopes: tuple[str, ...] = ALL_SCOPES
    """Scopes of laws that it knows."""
    moves: bool = True
    """Whether it can be told how much of the training is done."""
    unmasked: bool = False
    """Whether it is also trained without a law."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A system under one seed."""

    networks: dict[str, Network]
    inputs: dict[str, Inputs]
    about: dict[str, Any] = field(default_factory=dict)
    """What the report says of it."""


class System(Protocol):
    """Data and networks of a kind."""

    def __call__(self, seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
        """Read the data, draw training and test rows by seed.

        Raises
        ------
        MissingDataError
            There are none.
        """
