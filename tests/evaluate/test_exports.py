"""What the package exports."""

from __future__ import annotations

from r2mae_bio import evaluate


def test_exports_are_complete_and_sorted():
    assert evaluate.__all__ == sorted(evaluate.__all__)
    assert all(getattr(evaluate, exported).__doc__ for exported in evaluate.__all__)
