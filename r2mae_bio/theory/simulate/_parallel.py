"""Independent draws on several threads.

Every draw is seeded by its own number and BLAS runs on one thread, so results do not depend on the
number of threads.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from r2mae_bio._errors import ConfigError
from r2mae_bio._progress import count_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

Result = TypeVar("Result")
_LONG = 3.0
"""Seconds after which a progress bar appears in a terminal."""


def run_draws(
    draw: Callable[[int, Event], Result], n_draws: int, *, n_jobs: int | None, progress: bool | None, title: str
) -> list[Result]:
    """Run all draws.

    Parameters
    ----------
    draw
        Function of the draw's number, and of an event that is set when its result is no longer
        wanted.
    n_draws
        Number of draws.
    n_jobs
        Threads; as many as there are processors if None.
    progress
        Show a progress bar; if None, in a terminal and when it takes long.
    title
        What the bar says.

    Returns
    -------
    Results in the order of the draws. Upon an interrupt, draws under way stop at their next step
    and are not waited for.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    for name, value in (("n_draws", n_draws), ("n_jobs", n_jobs)):
        if value is not None and (value < 1 or int(value) != value):
            message = f"{name} is {value}; needed is a whole number of at least 1."
            raise ConfigError(message)
    threads = min(n_jobs or _processors(), n_draws)
    stopped = Event()
    with _one_blas_thread(), _results(lambda i: draw(i, stopped), n_draws, threads, stopped) as results:
        return list(_watched(results, n_draws, title, progress=progress))


@contextmanager
def _results(draw: Callable[[int], Result], n_draws: int, threads: int, stopped: Event) -> Iterator[Iterable[Result]]:
    if threads == 1:
        yield map(draw, range(n_draws))
        return
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool.map(draw, range(n_draws))
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _watched(results: Iterable[Result], n_draws: int, title: str, *, progress: bool | None) -> Iterator[Result]:
    start, advance = time.monotonic(), None
    with ExitStack() as stack:
        for done, result in enumerate(results, 1):
            if advance is not None:
                advance(1)
            elif progress or (progress is None and time.monotonic() - start > _LONG):
                bar = count_steps(title, n_draws, done=done, shown=progress)
                advance = stack.enter_context(bar)
            yield result


def _one_blas_thread() -> AbstractContextManager[Any]:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
