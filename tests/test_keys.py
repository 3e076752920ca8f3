"""Names as a user gives them."""

from __future__ import annotations

import pandas as pd
import pytest

from r2mae_bio._keys import as_names


@pytest.mark.parametrize(
    ("given", "names"),
    [(None, ()), ("donor", ("donor",)), ([], ()), (["a", "b"], ("a", "b")), (pd.Index(["a"]), ("a",)), ([1, 2], ("1", "2"))],
)
def test_text_is_one_name(given, names):
    assert as_names(given) == names
