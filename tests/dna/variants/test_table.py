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
        ({"alt": ["A\tC", "A"]}, "Row 0 .* needed is bases, <ID>"),
        ({"chrom": [["1"], "2"]}, r"Row 0 .* has \['1'\] in the column chrom; needed is text without white space"),
        ({"chrom": [b"\xff", "2"]}, "Row 0 .* in the column chrom"),
        ({"pos": [[1], 2]}, r"Row 0 .* has \[1\] in the column pos"),
        ({"ref": ["-", "A"]}, "Row 0 .* has '-' in the column ref; needed is bases, at least one .VCF writes an insertion"),
        ({"ref": [".", "A"]}, "Row 0 .* has '.' in the column ref"),
        ({"ref": [["A"], "A"]}, "Row 0 .* in the column ref"),
        ({"id": ["a b", "c"]}, "Row 0 .* has 'a b' in the column id"),
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


def alts_of(values: list) -> list[bytes]:
    """ALT columns of the records that a table with these values makes."""
    table = pd.DataFrame({"chrom": "1", "pos": range(1, len(values) + 1), "ref": "A", "alt": pd.Series(values, dtype=object)})
    return [line.split(b"\t")[4] for batch in read_variants(table) for line in batch.lines]


@pytest.mark.parametrize("form", [list, tuple, np.array, lambda alts: [alt.encode() for alt in alts], ",".join])
@pytest.mark.parametrize("alts", [["C"], ["C", "AT"], ["<DEL>", "*", "G"]])
def test_alt_as_other_readers_give_it(form, alts: list[str]) -> None:
    assert alts_of([form(alts), form(["T"])]) == [",".join(alts).encode(), b"T"]
    (batch,) = read_variants(pd.DataFrame({"chrom": ["1"], "pos": [1], "ref": [b"A"], "alts": [form(alts)]}))
    assert (batch.alt, batch.allele_ref) == (alts, ["A"] * len(alts))


def test_no_allele_in_lists_is_a_dot() -> None:
    assert alts_of([[], ("C",), None, float("nan"), "."]) == [b".", b"C", b".", b".", b"."]


def test_bytes_and_lists_of_names() -> None:
    table = pd.DataFrame({"chrom": [b"1", "2"], "pos": [1, 2], "ref": "A", "alt": "C", "id": [["rs1", b"x"], ""]})
    assert [line for batch in read_variants(table) for line in batch.lines] == [
        b"1\t1\trs1;x\tA\tC\t.\t.\t.",
        b"2\t2\t.\tA\tC\t.\t.\t.",
    ]


ALLELES = [
    "ACGTNacgtn",
    "R",
    "*",
    ".",
    "<DEL>",
    "<DUP:TANDEM>",
    "<*>",
    "<NON_REF>",
    "C[2:5[",
    "]HLA:1:5]C",
    "[<ctg>:7[A",
    "G.",
    ".A",
    "]2:5]",
]
NO_ALLELES = [
    "A|C",
    "A/C",
    "A;C",
    "A,,C",
    ",",
    "-",
    "A1",
    "<DEL",
    "DEL>",
    "<>",
    "A*",
    "C[2:5]",
    "C[2[",
    "..",
    "é",
    "A C",
    "['C']",
    "nan.0",
]


@pytest.mark.parametrize("allele", ALLELES)
def test_every_allele_of_vcf_may_stand_in_a_table(allele: str) -> None:
    assert alts_of([allele, [allele, "T"]]) == [allele.encode(), f"{allele},T".encode()]


@pytest.mark.parametrize("text", NO_ALLELES)
@pytest.mark.parametrize("form", [str, str.encode, lambda text: ["T", text]])
def test_what_is_no_allele_is_refused(text: str, form) -> None:
    with pytest.raises(VcfError, match=r"Row 1 .* in the column alt; needed is bases, <ID>, \*, a breakend"):
        alts_of(["C", form(text)])


@pytest.mark.parametrize("value", [None, float("nan"), "", b"", 5, [None], [["C"]], [float("nan")]])
def test_what_is_no_text_is_no_allele(value: object) -> None:
    with pytest.raises(VcfError, match="in the column alt"):
        alts_of(["C", value])


def test_alleles_as_pysam_gives_them(tmp_path) -> None:
    pysam = pytest.importorskip("pysam", reason="pysam is the oracle here")
    alts = ["C", "C,AT", "<DEL>,C", ".", "*"]
    rows = "".join(f"1\t{i + 1}\t.\tA\t{alt}\t.\t.\t.\n" for i, alt in enumerate(alts))
    header = '##fileformat=VCFv4.2\n##contig=<ID=1>\n##ALT=<ID=DEL,Description="x">\n'
    (tmp_path / "in.vcf").write_text(f"{header}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{rows}")
    with pysam.VariantFile(str(tmp_path / "in.vcf")) as file:
        table = pd.DataFrame([(r.chrom, r.pos, r.ref, r.alts) for r in file], columns=["chrom", "pos", "ref", "alts"])
    assert [line.split(b"\t")[4].decode() for batch in read_variants(table) for line in batch.lines] == alts
