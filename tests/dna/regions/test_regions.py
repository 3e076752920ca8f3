"""Regions from files, tables and lists agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import BedError
from r2mae_bio.io import Genome, extract_loci, read_regions

if TYPE_CHECKING:
    from pathlib import Path


COLUMNS = ["chrom", "start", "end", "name", "strand"]


REGIONS = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "2", "X_y"]),
        st.integers(0, 2**40),
        st.integers(1, 2**40),
        st.text("ab c", max_size=3),
        st.sampled_from("+-."),
    ),
    min_size=1,
    max_size=8,
)


@given(REGIONS)
def test_file_table_and_list_agree(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple]) -> None:
    rows = [(chrom, start, start + size, name.strip(), strand) for chrom, start, size, name, strand in parts]
    expected = [(c, s, e, name or f"{c}:{s}-{e}", strand) for c, s, e, name, strand in rows]
    text = "".join(f"{c}\t{s}\t{e}\t{name or '.'}\t0\t{strand}\n" for c, s, e, name, strand in rows)
    path = tmp_path_factory.mktemp("bed") / "r.bed"
    path.write_text(text)
    for source in (path, str(path), rows, pd.DataFrame(rows, columns=COLUMNS)):
        found = read_regions(source)
        assert list(found.columns) == COLUMNS
        assert list(found.itertuples(index=False, name=None)) == expected
        assert (found["start"].dtype, found["end"].dtype) == (np.int64, np.int64)
        assert found.index.tolist() == list(range(len(rows)))


@pytest.mark.parametrize(
    "names",
    [
        ["chrom", "start", "end"],
        ["Chromosome", "Start", "End"],
        ["#chrom", "chromStart", "chromEnd"],
        ["CONTIG", "START", "stop"],
    ],
)
def test_usual_names_of_columns(names: list[str]) -> None:
    table = pd.DataFrame([(1, 2.0, 3.0)], columns=names, index=["a"])
    assert read_regions(table).iloc[0].tolist() == ["1", 2, 3, "1:2-3", "."]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["chr1:1-5"], "Item 0 .* count from 0 or 1"),
        ([("chr1", 1, 5), ("chr1", 1)], "Item 1 .* needed is a tuple"),
        ([("chr1", 1, 5), ("chr1", 1, 1)], "Row 1 .* the start must be smaller"),
        ([("chr1", -1, 5)], "Row 0 .* has -1 in the column start"),
        ([("chr1", 1, 5.5)], "Row 0 .* has 5.5 in the column end"),
        ([(None, 1, 5)], "Row 0 .* has None in the column chrom"),
        ([("chr1", 1, 5, "a", "x")], "Row 0 .* has the strand 'x'"),
        ([], "The table holds no region"),
        (pd.DataFrame({"chrom": ["1"], "pos": [1]}), "needed is one named start"),
        (pd.DataFrame({"chrom": ["1"], "start": [1], "end": [3], "End": [3]}), "The columns end, End all mean end"),
        (pd.DataFrame({"chrom": ["1"], "start": [7], "end": [3]}, index=["peak"]), r"Row 0 \(index 'peak'\) has the start 7"),
    ],
)
def test_bad_tables_and_lists_are_named(source: Any, message: str) -> None:
    with pytest.raises(BedError, match=message):
        read_regions(source)


def test_regions_are_read_from_the_genome_they_name(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nACGTTGCANN\n")
    (tmp_path / "r.bed").write_text("chr1\t0\t4\ta\t0\t+\n1\t1\t5\tb\t0\t-\n")
    loci = extract_loci(Genome(tmp_path / "g.fa", cache_dir=tmp_path / "cache"), read_regions(tmp_path / "r.bed"))
    assert [row.tobytes() for row in loci] == [b"ACGT", b"AACG"]
