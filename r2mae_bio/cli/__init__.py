"""The command line: ``r2mae pretrain``, ``embed``, ``score`` and so on; files in, files out."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_MISSING = 'The command line needs typer; install it by: pip install "r2mae_bio[cli]"\n'


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; what ``r2mae`` in a shell does.

    Parameters
    ----------
    args
        The words after ``r2mae``; those of the process if None.

    Returns
    -------
    The exit code: 0, 1 for an error, 2 for a call that is not understood, 130 after Ctrl-C.
    """
    if find_spec("typer") is None:
        sys.stderr.write(_MISSING)
        return 1
    try:
        from r2mae_bio.cli._app import run

        return run(sys.argv[1:] if args is None else args)
    except KeyboardInterrupt:  # before there was a command
        sys.stderr.write("interrupted\n")
        return 130
