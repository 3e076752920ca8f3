"""Names as a user gives them, and as messages show them."""

from __future__ import annotations

import pandas as pd
import pytest

from r2mae_bio._keys import as_names, first_names


@pytest.mark.parametrize(
    ("given", "names"),
    [(None, ()), ("donor", ("donor",)), ([], ()), (["a", "b"], ("a", "b")), (pd.Index(["a"]), ("a",)), ([1, 2], ("1", "2"))],
)
def test_text_is_one_name(given, names):
    assert as_names(given) == names


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([], 5, ""),
        (("a", "b"), 2, "a, b"),
        (["a", "b", "c"], 2, "a, b and 1 more"),
        ([str(i) for i in range(2001)], 1, "0 and 2,000 more"),
    ],
)
def test_names_beyond_the_first_are_counted(names, most, text):
    assert first_names(names, most) == text
