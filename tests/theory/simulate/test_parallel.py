"""Draws on several threads, and Ctrl-C among them."""

from __future__ import annotations

import itertools
from threading import Event, Thread, current_thread

import pytest

from r2mae_bio.theory.simulate._parallel import run_draws


def test_draws_run_on_several_threads_and_come_in_order() -> None:
    both = Event(), Event()

    def draw(number: int, _: Event) -> tuple[int, Thread]:
        both[number % 2].set()
        assert both[1 - number % 2].wait(20)  # ends only if both run at once
        return number, current_thread()

    results = run_draws(draw, 6, n_jobs=2, progress=None, title="")
    assert [number for number, _ in results] == list(range(6))
    assert len({thread for _, thread in results}) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_stops_at_once(n_jobs: int) -> None:
    """No new draw is started, and those under way are told to stop."""
    started, told = itertools.count(), Event()

    def draw(number: int, stopped: Event) -> int:
        next(started)
        if number == 0:
            raise KeyboardInterrupt
        if stopped.wait(20):
            told.set()
        return number

    with pytest.raises(KeyboardInterrupt):
        run_draws(draw, 1000, n_jobs=n_jobs, progress=None, title="")
    assert n_jobs == 1 or told.wait(20) or next(started) <= 1
    assert next(started) <= 3


def test_progress_bar_appears_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run_draws(lambda i, _: i, 3, n_jobs=1, progress=None, title="Training sets")
    run_draws(lambda i, _: i, 3, n_jobs=1, progress=False, title="Training sets")
    assert capsys.readouterr() == ("", "")
    run_draws(lambda i, _: i, 3, n_jobs=2, progress=True, title="Training sets")
    shown = capsys.readouterr()
    assert "Training sets" in shown.err
    assert not shown.out
