"""The commands, and what becomes of their errors."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from r2mae_bio._errors import R2MAEError
from r2mae_bio._version import __version__
from r2mae_bio.cli.common._command import State
from r2mae_bio.cli.common._console import one_line
from r2mae_bio.cli.verbs import (
    compare,
    embed,
    fetch,
    impute,
    info,
    ism,
    neutral,
    pretrain,
    score,
    theory,
    track,
    track_merge,
    transfer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "run"]

_INTERRUPTED: Final = 130
_OPTIONS: Final = {"resume=False": "--no-resume", "overwrite=True": "--overwrite"}
"""Remedies that messages name for Python, as they are called here."""
_CLICK_ERROR: Final[Any] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Base of errors in a call; typer has it from click, and from version 0.26 on within itself."""

# no rich markup: help is plain text, wherever it is read, and loads in half the time
app = typer.Typer(name="r2mae", rich_markup_mode=None, pretty_exceptions_enable=False)
for verb in (pretrain, embed, transfer, impute, compare, score, neutral, ism, track, track_merge, theory, info, fetch):
    verb.add_to(app)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it
    if value:
        typer.echo(f"r2mae_bio {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Pretrain on cells or DNA by masking at a random ratio, and use what was learnt.

    Files in, files out; - is standard input or output. A result appears whole or not at all, and
    none is replaced without --overwrite. Settings are written beside it, as --config reads them.
    """


def run(args: Sequence[str]) -> int:
    """Run a command.

    Parameters
    ----------
    args
        The words after ``r2mae``.

    Returns
    -------
    The exit code.
    """
    state = State()
    try:
        code = app(list(args) or ["--help"], prog_name="r2mae", standalone_mode=False, obj=state)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user reads one line
        return _fail(error, state)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        sys.stderr.write("interrupted; the same command goes on where the work can be resumed\n")
    return code if isinstance(code, int) else 0


def _as_options(text: str) -> str:
    """A message with settings of Python as the options that they are here."""
    for setting, option in _OPTIONS.items():
        text = text.replace(setting, option)
    return text


def _fail(error: Any, state: State) -> int:
    """Say what went wrong, and give the exit code."""
    if isinstance(error, _CLICK_ERROR):
        where = getattr(getattr(error, "ctx", None), "command_path", "r2mae")
        said = one_line(error.format_message())
        sys.stderr.write(f"error: {said}{'' if said.endswith(('.', '?', ')')) else '.'} See {where} --help.\n")
        return int(error.exit_code)
    if isinstance(error, typer.Abort):  # what typer before 0.26 makes of Ctrl-C
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    if state.debug:
        traceback.print_exception(error)
    expected = isinstance(error, R2MAEError | OSError | MemoryError)
    said = one_line(error) or "no reason was given"
    line = _as_options(said) if isinstance(error, R2MAEError) else f"{type(error).__name__}: {said}"
    hint = "" if expected else " This should not happen; --debug shows where it came from."
    sys.stderr.write(f"error: {line}{hint}\n")
    return 1
