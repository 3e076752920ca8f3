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
