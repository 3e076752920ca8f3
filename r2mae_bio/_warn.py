"""Warnings that point at the line of the user's code that caused them."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["told_to", "warn"]

_PACKAGE: Final = f"{Path(__file__).parent}{os.sep}"
# Decorators, such as that of inference mode, stand between a method and its caller.
_DECORATORS: Final = (f"{os.sep}contextlib.py", f"{os.sep}_contextlib.py")
_LISTENERS: Final[list[Callable[[str], None]]] = []
# Python keeps a list of its own, which it drops whenever somebody has changed and restored filters.
_SAID: Final[set[tuple[str, type[Warning], str, int]]] = set()


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something that the caller of this package should know.

    A number of stack levels, written down where the warning is raised, is wrong as soon as a
    function is called from another depth; here the first frame outside the package is looked up.
    The same warning of the same line is shown once, in a loop too, unless filters ask for all.

    Parameters
    ----------
    message
        What happened and what it means.
    category
        Class of the warning.
    """
    if _LISTENERS:
        _LISTENERS[-1](message)
        return
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    said = (message, category, frame.f_code.co_filename, frame.f_lineno)
    if said not in _SAID or _wants_all(message, category, frame.f_globals.get("__name__", ""), frame.f_lineno):
        _SAID.add(said)
        warnings.warn(message, category, stacklevel=level)


@contextmanager
def told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Hand warnings of this package to a function, where no line of a user's code is to blame.

    Parameters
    ----------
    listener
        Called with each message.
    """
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.pop()


def _wants_all(message: str, category: type[Warning], module: str, line: int) -> bool:
    """Whether the filter in force shows, or raises, a warning as often as it comes."""
    for action, text, of, place, at in warnings.filters:
        fits = issubclass(category, of) and at in (0, line)
        if fits and (text is None or text.match(message)) and (place is None or place.match(module)):
            return action in ("always", "all", "error")
    return False


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or file.endswith(_DECORATORS)
