"""Variants from tables."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.errors import VcfError
from r2mae_bio.io import (
    read_variants,
)


@pytest.mark.parametrize(
    "names", [["chrom", "pos", "ref", "alt"], ["#CHROM", "POS", "REF", "ALT"], ["Chr", "Position", "ref_allele", "alt_allele"]]
)
def test_usual_names_of_columns(names: list[str]) -> None:
    table = pd.DataFrame([("1", 5, "A", "C,G"), ("X", 7, "t", "TA")], columns=names)[names[::-1]]
    batches = list(read_variants(table, batch_size=1))
    assert [line for b in batches for line in b.lines] == [b"1\t5\t.\tA\tC,G\t.\t.\t.", b"X\t7\t.\tt\tTA\t.\t.\t."]
    assert [(b.start, b.allele_chrom, b.allele_pos.tolist(), b.allele_ref, b.alt) for b in batches] == [
        (0, ["1", "1"], [5, 5], ["A", "A"], ["C", "G"]),
        (1, ["X"], [7], ["t"], ["TA"]),
    ]


@pytest.mark.parametrize("pos", [[5, 7], [5.0, 7.0], ["5", "7"], np.array([5, 7], np.uint32), pd.array([5, 7], "Int64")])
@pytest.mark.parametrize("chrom", [[1, 2], ["1", "2"], pd.Categorical(["1", "2"])])
def test_types_of_columns(pos: object, chrom: object) -> None:
    table = pd.DataFrame({"chrom": chrom, "pos": pos, "ref": "A", "alt": "C", "id": ["rs1", None]})
    lines = list(chain.from_iterable(batch.lines for batch in read_variants(table)))
    assert lines == [b"1\t5\trs1\tA\tC\t.\t.\t.", b"2\t7\t.\tA\tC\t.\t.\t."]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos": [1, None]}, r"Row 1 \(index 'b'\) has nan in the column pos; needed is a whole number"),
        ({"pos": [1, 2.5]}, "Row 1 .* has 2.5"),
        ({"pos": [-1, 2]}, "Row 0 .* has -1"),
        ({"pos": ["x", 2]}, "Row 0 .* has 'x'"),
        ({"pos": [True, 2]}, "Row 0 .* has True"),
        ({"pos": [float("inf"), 2]}, "Row 0 .* has inf"),
        ({"ref": ["A", None]}, "Row 1 .* has (None|nan) in the column ref"),
        ({"alt": ["A\tC", "A"]}, "Row 0 .* needed is text without white space"),
        ({"alt": ["", "A"]}, "Row 0 .* has '' in the column alt"),
        ({"chrom": [1.0, float("nan")]}, "Row 0 .* has 1.0 in the column chrom"),
        ({"chr": ["1", "2"]}, "The columns chrom, chr all mean chrom"),
    ],
)
def test_bad_tables_are_named_by_row(changes: dict, message: str) -> None:
    table = pd.DataFrame({"chrom": ["1", "2"], "pos": [1, 2], "ref": ["A", "C"], "alt": ["C", "A"]}, index=["a", "b"])
    with pytest.raises(VcfError, match=message):
        read_variants(table.assign(**changes))


def test_missing_columns_are_named() -> None:
    with pytest.raises(VcfError, match="has the columns chrom, start; needed is one named pos or position"):
        read_variants(pd.DataFrame({"chrom": ["1"], "start": [4]}))


def test_table_fingerprints_follow_the_variants() -> None:
    table = pd.DataFrame({"chrom": ["1", "2"], "pos": [1, 2], "ref": ["A", "C"], "alt": ["C", "A"]})
    first = read_variants(table).fingerprint()
    assert read_variants(table.assign(score=1.0), batch_size=1).fingerprint() == first
    assert read_variants(table[::-1]).fingerprint() != first
    assert read_variants(table.assign(alt=["C", "G"])).fingerprint() != first
