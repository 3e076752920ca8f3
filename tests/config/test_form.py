"""Plain data against the types they should have."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._form import check_form


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, int),
        (np.int64(1), int),
        (1, float),
        (np.float32(0.5), float),
        (float("nan"), float),
        (True, bool),
        ("a", str),
        (None, str | None),
        ("a", str | None),
        ([], list[int]),
        ([1, 2.5], list[float]),
        ([1, 2], tuple[int, ...]),
        ((1, 2), tuple[int, ...]),
        ({"a": [1]}, dict[str, list[int]]),
        ({"a": object()}, dict[str, Any]),
        ("auto", bool | Literal["auto"]),
        (object(), Any),
    ],
)
def test_what_fits(value: Any, kind: Any) -> None:
    check_form({"x": value}, {"x": kind})


@pytest.mark.parametrize(
    ("value", "kind", "needed"),
    [
        (True, int, "int"),
        (1.0, int, "int"),
        ("1", float, "float"),
        (False, float, "float"),
        (1, bool, "bool"),
        (None, str, "str"),
        (1, str | None, r"str \| None"),
        ((1, 2), list[int], r"list\[int\]"),
        ([1, "2"], list[float], r"list\[float\]"),
        ({"a": [1, None]}, dict[str, list[int]], r"dict\[str, list\[int\]\]"),
        ({1: 1}, dict[str, int], "dict"),
        ([], dict[str, Any], "dict"),
        ("some", Literal["all", "none"], "one of 'all', 'none'"),
        ([1], Literal["all"], "one of 'all'"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, kind: Any, needed: str) -> None:
    with pytest.raises(ConfigError, match=f"x is .*; needed is .*{needed}"):
        check_form({"x": value}, {"x": kind})


def test_what_is_missing_is_named_unless_it_may_be() -> None:
    check_form({"more": 1}, {"x": int}, optional=("x",))
    with pytest.raises(ConfigError, match="x is missing"):
        check_form({"more": 1}, {"x": int})
