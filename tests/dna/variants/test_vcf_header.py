"""Declarations of fields in a VCF header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import ConfigError
from r2mae_bio.io import InfoField, VcfHeader

COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@given(st.lists(st.sampled_from(["Float", "Integer", "String"]), max_size=3), st.text("ab\"\\'<>=,", max_size=9))
def test_declarations_stand_before_the_columns(types: list[str], text: str) -> None:
    header = VcfHeader((b"##fileformat=VCFv4.2",), tuple(COLUMNS.split(b"\t")))
    fields = [InfoField(f"F{i}", kind, text) for i, kind in enumerate(types)]
    lines = header.encode(fields, ["##model=x"]).split(b"\n")
    assert lines[0] == b"##fileformat=VCFv4.2"
    assert lines[-3:] == [b"##model=x", COLUMNS, b""]
    for i, (line, kind) in enumerate(zip(lines[1:-3], types, strict=True)):
        start = f'##INFO=<ID=F{i},Number=A,Type={kind},Description="'
        assert line.decode().startswith(start)
        quoted = line.decode()[len(start) : -2]
        assert quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == text


@pytest.mark.parametrize(
    ("name", "kind", "text", "message"),
    [
        ("A B", "Float", "", "no name for an INFO field"),
        ("1X", "Float", "", "no name"),
        ("X", "Flag", "", "must be one of Float, Integer, String"),
        ("X", "Float", "a\nb", "several lines"),
    ],
)
def test_bad_fields_are_refused(name: str, kind: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InfoField(name, kind, text)


DECLARED = [
    b'##INFO=<ID=LLR,Number=A,Type=Float,Description="x">',
    b'##INFO=<Number=A,ID=LLR,Type=Float,Description="x">',
    b'##INFO=<Number=A,Type=Float,Description="x, <y> \\"z\\"",ID=LLR>',
    b"##INFO=< Number=A, ID = LLR >",
    b"##INFO=<ID=LLR>",
]
NOT_DECLARED = [
    b"##FORMAT=<ID=LLR,Number=A,Type=Float>",
    b'##INFO=<ID=X,Number=A,Type=Float,Description="see ,ID=LLR">',
    b"##INFO=<ID=LLR2,Number=A>",
    b"##INFO=<ID=X,Source=LLR>",
    b"##info=LLR",
]


@pytest.mark.parametrize("line", DECLARED)
def test_a_field_that_is_declared_is_refused_wherever_its_name_stands(line: bytes) -> None:
    header = VcfHeader((b"##fileformat=VCFv4.2", line), tuple(COLUMNS.split(b"\t")))
    with pytest.raises(ConfigError, match=r"INFO fields LLR exist already.*prefix=.*bcftools annotate -x INFO/LLR"):
        header.encode([InfoField("LLR", "Float", "")])


@pytest.mark.parametrize("line", NOT_DECLARED)
def test_a_name_within_other_lines_is_no_declaration(line: bytes) -> None:
    header = VcfHeader((b"##fileformat=VCFv4.2", line), tuple(COLUMNS.split(b"\t")))
    assert header.encode([InfoField("LLR", "Float", "")]).count(b"##INFO=<ID=LLR,") == 1


def test_contigs_are_read_in_any_order_of_keys() -> None:
    meta = (
        b'##contig=<assembly="a, ID=wrong",length=50,ID=HLA-A*01:01>',
        b'##contig=<ID=2,URL="x>y",length=7>',
        b"##contig=<ID=3>",
        b"##contig=<length=9>",
    )
    assert VcfHeader(meta, ()).contigs == {"HLA-A*01:01": 50, "2": 7, "3": None}
