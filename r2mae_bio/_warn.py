"""Warnings that point at the line of the user's code that caused them."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Final

__all__ = ["warn"]

_PACKAGE: Final = f"{Path(__file__).parent}{os.sep}"
# Decorators, such as that of inference mode, stand between a method and its caller.
_DECORATORS: Final = (f"{os.sep}contextlib.py", f"{os.sep}_contextlib.py")


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
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or file.endswith(_DECORATORS)
