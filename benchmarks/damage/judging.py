"""What came of one call on a damaged input."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from r2mae_bio.errors import R2MAEError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

KINDS = ("right", "refused by anndata", "refused", "foreign", "wrong", "timeout")
"""From the best to the worst; a case is as bad as the worst of its calls."""


class InvalidInputError(Exception):
    """An independent reader finds that the input means nothing; what it says is why."""


@dataclass(frozen=True)
class Verdict:
    """One call."""

    call: str
    kind: str
    """One of :data:`KINDS`."""
    detail: str = ""
    """The error, or how the result differs."""
    left: str = ""
    """What a call that failed left behind and should not have."""
    needless: bool = False
    """Refused, although an independent reader finds nothing wrong."""


class Format(Protocol):
    """Inputs of one format. ``prepare`` writes an intact one, ``open`` reads what the calls need,
    ``damage`` changes a copy in place and says how, ``judge`` makes the calls.
    """

    def prepare(self, folder: Path) -> None: ...
    def open(self, folder: Path) -> None: ...
    def damage(self, folder: Path, rng: np.random.Generator) -> str: ...
    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]: ...


stage: Callable[[str], None] = lambda name: None  # noqa: E731 - the worker puts its own here
"""Told what begins, for the case that the process dies of it."""


def begin(name: str) -> None:
    """Say what begins."""
    stage(name)


def judge(
    name: str,
    call: Callable[[], Any],
    truth: Callable[[], Any],
    difference: Callable[[Any, Any], str],
    left: Callable[[], str] = lambda: "",
) -> Verdict:
    """Make a call and compare what it returns with what an independent reader says.

    Parameters
    ----------
    name
        Of the call.
    call
        The call.
    truth
        What the result must agree with; raises :class:`InvalidInputError` where there must be
        none.
    difference
        Of result and truth, in words; empty if they agree.
    left
        What the call left behind when it failed.
    """
    begin(name)
    try:
        result = call()
    except R2MAEError as error:
        found = f"{type(error).__name__}: {str(error)[:300]}"
        return Verdict(name, "refused", found, left(), _means_something(truth))
    except Exception as error:  # noqa: BLE001 - whatever it is
        places = traceback.extract_tb(error.__traceback__)
        ours = [f"{p.filename.rpartition('r2mae_bio/')[2]}:{p.lineno}" for p in places if "/r2mae_bio/" in p.filename]
        found = f"{type(error).__name__}: {str(error)[:200]} at {' < '.join(reversed(ours[-3:]))} in {places[-1].name}"
        return Verdict(name, "foreign", found, left())
    begin("truth")
    try:
        expected = truth()
    except InvalidInputError as error:
        return Verdict(name, "wrong", f"accepted, although {error}")
    found = difference(result, expected)
    return Verdict(name, "wrong", found) if found else Verdict(name, "right")


def _means_something(truth: Callable[[], Any]) -> bool:
    begin("truth")
    try:
        truth()
    except Exception:  # noqa: BLE001 - nobody can read it
        return False
    return True
