"""The one progress bar: on standard error, only where it is wanted."""

from __future__ import annotations

import pytest

from r2mae_bio._progress import asked_for, count_or_say, count_steps, with_bars


@pytest.mark.parametrize("shown", [None, False])
def test_outside_a_terminal_there_is_a_bar_only_if_asked_for(capsys, shown):
    with count_steps("variants", 3, shown=shown) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_a_bar_counts_on_from_an_earlier_run(capsys):
    with count_steps("variants", 30, done=10, shown=True) as advance:
        advance(5)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "variants" in printed.err
    assert "15/30" in printed.err


def test_bars_of_silent_work_are_for_a_terminal_that_asks(capsys, monkeypatch):
    assert asked_for() is False
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes standard error for a terminal
    with with_bars():
        assert asked_for() is None
        with count_steps("cells", 3, shown=asked_for()) as advance:
            advance(3)
    assert asked_for() is False
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(("shown", "said"), [(True, "reading\n"), (None, ""), (False, "")])
def test_in_a_log_a_line_says_what_begins_if_it_is_wanted(capsys, shown, said):
    with count_or_say("reading", 3, shown=shown) as advance:
        advance(3)
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("shown", [True, None, False])
def test_in_a_terminal_a_bar_does(capsys, monkeypatch, shown):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with count_or_say("reading", 3, shown=shown) as advance:
        advance(3)
    assert ("3/3" in capsys.readouterr().err) is (shown is not False)
