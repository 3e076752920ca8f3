"""Columns by name, values as text and as labels, cells by position, mask and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio.cells.read._obs import cell_positions, complete, group_values, label_values, name_text, read_column, text_values

from .conftest import _lazy, make

if TYPE_CHECKING:
    from pathlib import Path

NAMES = pd.Index([f"cell{i}" for i in range(6)])


def test_a_column_is_found_once_or_refused() -> None:
    obs = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert read_column(obs, "b").tolist() == [3, 4]
    with pytest.raises(SetupError, match="obs has no column 'c'; it has a, b"):
        read_column(obs, "c")
    with pytest.raises(SetupError, match=r"reference\.obs has 2 columns 'a'; needed is one"):
        read_column(pd.concat([obs, obs[["a"]]], axis=1), "a", where="reference.obs")
    with pytest.raises(DataError, match=r"obs\['c'\] is missing for 1 of 2 cells"):
        complete(pd.Series([None, "x"], name="c"))


def test_groups_are_those_of_some_cells_and_none_is_missing() -> None:
    obs = pd.DataFrame({"donor": [2.0, np.nan, 1.0, 2.0]})
    assert group_values(obs, "donor", np.array([0, 2, 3])).tolist() == ["2", "1", "2"]
    with pytest.raises(DataError, match=r"reference\.obs\['donor'\] is missing for 1 of 2 labelled cells"):
        group_values(obs, "donor", np.array([0, 1]), where="reference.obs")
    with pytest.raises(SetupError, match=r"reference\.obs has no column 'd'"):
        group_values(obs, "d", np.array([0]), where="reference.obs")


def test_columns_of_lazy_data_come_into_memory(counts: np.ndarray, tmp_path: Path) -> None:
    adata = make(counts)
    adata.obs["kind"] = pd.Categorical(np.where(np.arange(40) % 3, "x", "y"))
    adata.obs["number"] = np.arange(40)
    lazy = _lazy(adata, tmp_path)
    for key in ("kind", "number"):
        pd.testing.assert_series_equal(read_column(lazy.obs, key), adata.obs[key], check_names=False, check_index_type=False)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 1],
        [1.0, 2.0, 1.0],
        np.array([1, 2.0, 1], object),
        ["1", "2.0", "1"],
        pd.Categorical([1.0, 2.0, 1.0]),
        pd.array([1, 2, 1], "Int64"),
    ],
)
def test_whole_numbers_have_one_name(values: Any) -> None:
    assert text_values(pd.Series(values)).tolist() == ["1", "2", "1"]


@pytest.mark.parametrize("values", [["b", "a", "b"], [2.0, 1.0, 2.0], [True, False, True], [2.5, None, 1.0], []])
def test_categories_are_the_text_of_what_they_hold(values):
    plain = pd.Series(values, dtype=None if values else object)
    assert text_values(plain.astype("category")).tolist() == text_values(plain).tolist()


def test_a_category_is_one_text_however_many_cells_have_it():
    found = text_values(pd.Series(pd.Categorical.from_codes([0, 1] * 500, ["first donor", "second donor"])))
    assert len({id(text) for text in found}) == 2
    assert text_values(pd.Series(pd.Categorical(["x", None, "x"])))[1] != "x"  # code -1 is no place in a list


def test_other_names_stay_as_they_are() -> None:
    for name in ("1.5", "v1.0", "1.00", "-0", "", "True", "1.0.0"):
        assert name_text(name) == name
    assert (name_text(-3.0), name_text(np.float32(7)), name_text(np.int8(7)), name_text(None)) == ("-3", "7", "7", "None")


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (pd.Series([2, 1]), [2, 1]),
        (pd.Series([2, 1], dtype="category"), [2, 1]),
        (pd.Series([2, None], dtype="Int64"), [2, None]),
        (pd.Series([True, False]), [True, False]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series([True, None], dtype=object), [True, None]),
        (pd.Series([0.5, np.nan]), [0.5, None]),
        (pd.Series([1, 2.0], dtype=object), [1, 2]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", 1], dtype=object), ["a", "1"]),
    ],
)
def test_labels_keep_their_type(column: pd.Series, labels: list[Any]) -> None:
    found = label_values(column).tolist()
    assert found == labels
    assert [type(label) for label in found] == [type(label) for label in labels]


@pytest.mark.parametrize(
    ("indices", "positions"),
    [
        ([4, 0, 4], [4, 0, 4]),
        ([-1, -6], [5, 0]),
        (range(1, 6, 2), [1, 3, 5]),
        (slice(None, None, -2), [5, 3, 1]),
        (slice(-2, None), [4, 5]),
        (np.arange(6) > 3, [4, 5]),
        ([True, False, False, False, False, True], [0, 5]),
        (pd.Series([True, False] * 3), [0, 2, 4]),
        (pd.Series([True] + [False] * 5, index=NAMES[::-1]), [5]),
        (pd.array([True, False] * 3, "boolean"), [0, 2, 4]),
        (pd.Series([3, 1]), [3, 1]),
        (["cell3", "cell0"], [3, 0]),
        (pd.Index(["cell5"]), [5]),
        (np.array(["cell2", "cell2"], object), [2, 2]),
        ("cell4", [4]),
        (np.int64(2), [2]),
        ([], []),
    ],
)
def test_cells_are_found_by_what_users_write(indices: Any, positions: list[int]) -> None:
    found = cell_positions(indices, NAMES)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == positions
    assert cell_positions(None, NAMES) is None


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([6], r"1 positions that do not exist, such as 6; there are 6 cells, from -6 to 5"),
        ([0, -7], r"such as -7"),
        ([0.5], r"dtype float64; needed are positions from -6 to 5, a slice of them, a boolean mask of length 6, or names"),
        ([True], r"shape \(1,\) and dtype bool; needed"),
        ([[1, 2]], r"shape \(1, 2\)"),
        (["cell1", "cell9"], r"1 cells that do not exist, such as 'cell9'; cells are called \['cell0'"),
    ],
)
def test_cells_that_do_not_exist(indices: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cell_positions(indices, NAMES)


def test_names_that_stand_for_two_cells_are_refused() -> None:
    with pytest.raises(DataError, match="obs_names are not unique \\('a' stands twice\\)"):
        cell_positions(["a"], pd.Index(["a", "a", "b"]))
