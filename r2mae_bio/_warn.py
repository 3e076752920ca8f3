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


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something that the caller of this package should know.

    A number of stack levels, written down where the warning is raised, is wrong as soon as a
    function is called from another depth; here the first frame outside the package is looked up.

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


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or file.endswith(_DECORATORS)
