"""The one progress bar: on standard error, only where it is wanted."""

from __future__ import annotations

import pytest

from r2mae_bio._progress import count_steps


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
