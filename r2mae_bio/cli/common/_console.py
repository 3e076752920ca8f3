"""What is seen of a command: results on standard output, all else on standard error, and nothing
that other libraries say.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._progress import with_bars
from r2mae_bio._warn import told_to

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["as_json", "one_line", "only_ours", "say"]

_LOUD: Final = (
    "pytorch_lightning",
    "lightning_fabric",
    "lightning",
    "lightning.pytorch",
    "lightning.fabric",
    "scvi",
    "jax",
    "pooch",
    "anndata",
)
"""Loggers of others, which speak below the level of an error."""


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{one_line(text)}\n")


def one_line(text: object) -> str:
    """Text without line breaks."""
    return " ".join(str(text).split())


@contextmanager
def only_ours(*, quiet: bool) -> Iterator[None]:
    """Let nothing through but what this package says, on standard error.

    Standard output is for results: what libraries print there goes to standard error, where a
    reader of the results does not meet it.

    Parameters
    ----------
    quiet
        Leave out what is no warning.
    """
    ours, handler = logging.getLogger("r2mae_bio"), _Lines()
    # Lightning, when imported, gives its loggers a handler unless the root has one
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)
    before = ours.level, ours.propagate
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    warned: set[str] = set()

    def warn(message: str) -> None:
        if message not in warned:
            warned.add(message)
            say(f"warning: {message}")

    ours.setLevel(logging.WARNING if quiet else logging.INFO)
    ours.propagate = False
    ours.addHandler(handler)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        bars = nullcontext() if quiet else with_bars()
        with redirect_stdout(sys.stderr), warnings.catch_warnings(), told_to(warn), bars:
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(nothing)
        ours.removeHandler(handler)
        ours.level, ours.propagate = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


class _Lines(logging.Handler):
    """Log records as lines on the standard error of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        say(prefix + record.getMessage())


def as_json(value: Any) -> str:
    """One line of JSON; numbers that it does not have (NaN, infinite) are null."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON holds; of NumPy as well, told by its methods, for NumPy need not be loaded."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
