"""The one progress bar, on standard error; Lightning draws its own while it trains."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["asked_for", "can_redraw", "count_or_say", "count_steps", "with_bars"]

_ASKED: Final = ContextVar("_ASKED", default=False)


@contextmanager
def with_bars() -> Iterator[None]:
    """In a terminal, show bars of what otherwise works in silence: a command is watched, a line of
    a notebook is one among many.
    """
    token = _ASKED.set(True)
    try:
        yield
    finally:
        _ASKED.reset(token)


def asked_for() -> bool | None:
    """Whether what otherwise works in silence shows a bar, as ``shown`` of :func:`count_steps`."""
    return None if _ASKED.get() else False


def can_redraw() -> bool:
    """Whether standard error is a terminal or a notebook, where a bar moves in its place; in a log
    each movement would be a line.
    """
    from rich.console import Console

    console = Console(stderr=True)
    return console.is_terminal or console.is_jupyter


@contextmanager
def count_steps(
    title: str, total: int, *, done: int = 0, shown: bool | None = None, unit: str = ""
) -> Iterator[Callable[[int], None]]:
    """Count steps in a bar, with the time that is left.

    Parameters
    ----------
    title
        What is counted.
    total, done
        Steps in all, and steps that an earlier run did.
    shown
        Whether there is a bar; if None, there is one in a terminal.
    unit
        What a step is, such as ``"cells"``: then the bar says how many of them it does in a second.

    Yields
    ------
    The function to tell the number of further steps.
    """
    if shown is False:
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if unit and task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    console = Console(stderr=True)
    if not (console.is_terminal if shown is None else shown):
        yield lambda steps: None  # not a disabled bar: some releases of rich end it with an empty line
        return
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def count_or_say(title: str, total: int, *, shown: bool | None) -> Iterator[Callable[[int], None]]:
    """The same where a bar can move; in a log, one line that says what begins.

    Parameters
    ----------
    title
        What is counted.
    total
        Steps in all.
    shown
        Whether anything is said; if None, there is a bar in a terminal, and no line elsewhere.

    Yields
    ------
    The function to tell the number of further steps.
    """
    moves = can_redraw() if shown else shown
    if shown and not moves:
        sys.stderr.write(f"{title}\n")
    with count_steps(title, total, shown=moves) as advance:
        yield advance
