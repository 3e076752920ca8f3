"""Writing variants: unchanged but for INFO, whole or not at all."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from Bio import bgzf
from hypothesis import given, settings
from hypothesis import strategies as st

from r2mae_bio.errors import ConfigError, DataError, VcfError
from r2mae_bio.io import InfoField, VariantWriter, VcfHeader, read_variants

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io import VariantBatch
from .conftest import FIELDS, HEADER, leftovers, open_writer, run, score

SUFFIXES = [".vcf", ".vcf.gz", ".vcf.bgz", ".parquet"]


def text_of(path: Path) -> bytes:
    return path.read_bytes() if path.suffix == ".vcf" else gzip.decompress(path.read_bytes())


# ---------------------------------------------------------------- content


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".vcf.bgz"])
def test_only_info_is_added(source: Path, tmp_path: Path, suffix: str) -> None:
    run(tmp_path / f"out{suffix}", source)
    lines = text_of(tmp_path / f"out{suffix}").splitlines()
    before = source.read_bytes().splitlines()
    added = [line for line in lines if line.startswith(b"##INFO") and line not in before]
    assert added == [field.declaration for field in FIELDS]
    kept = [line for line in lines if line not in added]
    assert [line.split(b";LLR=")[0] for line in kept] == before
    assert leftovers(tmp_path / f"out{suffix}") == []


def test_values_stand_beside_their_alleles(source: Path, tmp_path: Path) -> None:
    run(tmp_path / "out.vcf", source)
    (whole,) = read_variants(source)
    expected = score(whole)
    place = 0
    for line in text_of(tmp_path / "out.vcf").splitlines():
        if not line.startswith(b"#"):
            columns = line.decode().split("\t")
            info = dict(entry.split("=") for entry in columns[7].split(";"))
            for i in range(columns[4].count(",") + 1):
                llr, rank, status = (info[f.name].split(",")[i] for f in FIELDS)
                value = float(expected["LLR"][place])
                assert (llr == "." and np.isnan(value)) or float(llr) == pytest.approx(value, rel=1e-5)
                assert rank == ("." if expected["RANK"].mask[place] else str(expected["RANK"].data[place]))
                assert status == (expected["STATUS"][place] or ".")
                place += 1
    assert place == whole.n_alleles


def test_table_has_one_row_per_allele(source: Path, tmp_path: Path) -> None:
    run(tmp_path / "out.parquet", source)
    (whole,) = read_variants(source)
    expected = score(whole)
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert list(table) == ["record", "alt_index", "chrom", "pos", "id", "ref", "alt", "LLR", "RANK", "STATUS"]
    assert table["record"] == whole.record.tolist()
    assert table["alt_index"] == whole.alt_index.tolist()
    assert table["pos"] == whole.allele_pos.tolist()
    assert (table["chrom"], table["ref"], table["alt"]) == (whole.allele_chrom, whole.allele_ref, whole.alt)
    assert table["LLR"] == [None if np.isnan(x) else x for x in expected["LLR"].tolist()]
    assert table["RANK"] == expected["RANK"].tolist()
    assert table["STATUS"] == expected["STATUS"]


def test_table_is_written_in_row_groups(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2mae_bio.dna.variants._sinks._ROW_GROUP", 64)
    run(tmp_path / "out.parquet", source)
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert file.schema_arrow.field("LLR").metadata[b"description"] == FIELDS[0].description.encode()
    (whole,) = read_variants(source)
    assert sizes[:-1] == [64] * (len(sizes) - 1)
    assert sum(sizes) == whole.n_alleles > 128


def test_bgzip_readers_find_records_by_offset(source: Path, tmp_path: Path) -> None:
    run(tmp_path / "out.vcf.gz", source)
    lines = text_of(tmp_path / "out.vcf.gz").splitlines(keepends=True)
    with bgzf.BgzfReader(tmp_path / "out.vcf.gz", "rb") as reader:
        offsets = []
        for line in lines:
            offsets.append(reader.tell())
            assert reader.readline() == line
        for i in (150, 3, 77):
            reader.seek(offsets[i])
            assert reader.readline() == lines[i]
    assert read_variants(tmp_path / "out.vcf.gz").header.n_samples == 0  # the closing block is there, or this would raise


@pytest.mark.parametrize(
    ("info", "written"),
    [
        (b".", b"S=1"),
        (b"", b"S=1"),
        (b"AC=1", b"AC=1;S=1"),
        (b"AC=1;", b"AC=1;S=1"),
        (b"XS=2;S2=3;T=S=1", b"XS=2;S2=3;T=S=1;S=1"),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\tGT\t0|1"])
def test_info_is_joined(tmp_path: Path, info: bytes, written: bytes, rest: bytes) -> None:
    columns = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + (b"\tFORMAT\tx" if rest else b"")
    (tmp_path / "in.vcf").write_bytes(columns + b"\n1\t5\t.\tA\tC\t.\tq;S=1\t" + info + rest + b"\r\n")
    reader = read_variants(tmp_path / "in.vcf")
    with VariantWriter(tmp_path / "out.vcf", reader.header, [InfoField("S", "Integer", "")], fingerprint="") as writer:
        for batch in reader:
            writer.write(batch, {"S": [1]})
    assert text_of(tmp_path / "out.vcf").splitlines()[-1] == b"1\t5\t.\tA\tC\t.\tq;S=1\t" + written + rest


NAMES = st.text("abcXYZ0189_", min_size=1, max_size=6)


FLOATS = st.one_of(st.none(), st.floats(width=32))


RECORDS = st.lists(
    st.tuples(
        NAMES,
        st.integers(0, 2**31 - 1),
        st.text("ACGTN", min_size=1, max_size=4),
        st.lists(st.tuples(st.sampled_from(["A", "<DEL>", "*", "GG"]), FLOATS, st.text(max_size=5)), min_size=1, max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(RECORDS, st.integers(1, 5))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, records: list[tuple], batch_size: int) -> None:
    """What is written is read again: records, alleles, values to six digits, any text."""
    folder = tmp_path_factory.mktemp("round")
    rows = [(chrom, pos, ref, ",".join(a for a, _, _ in alleles)) for chrom, pos, ref, alleles in records]
    reader = read_variants(pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]), batch_size=batch_size)
    values = [(number, text) for *_, alleles in records for _, number, text in alleles]
    fields = [InfoField("N", "Float", ""), InfoField("T", "String", "")]
    with VariantWriter(folder / "out.vcf", reader.header, fields, fingerprint=reader.fingerprint()) as writer:
        done = 0
        for batch in reader:
            part = values[done : done + batch.n_alleles]
            writer.write(batch, {"N": [number for number, _ in part], "T": [text for _, text in part]})
            done += batch.n_alleles
    again = read_variants(folder / "out.vcf", batch_size=batch_size)
    found = [row for batch in again for row in zip(batch.chrom, batch.pos.tolist(), batch.ref, batch.lines, strict=True)]
    assert [row[:3] for row in found] == [row[:3] for row in rows]
    infos = [dict(entry.split("=") for entry in row[3].decode().split("\t")[7].split(";")) for row in found]
    texts = [text for info in infos for text in info["T"].split(",")]
    numbers = [text for info in infos for text in info["N"].split(",")]
    for text, number, (value, words) in zip(texts, numbers, values, strict=True):
        assert _decoded(text) == words or (text, words) == (".", "")
        if value is None or np.isnan(value):
            assert number == "."
        else:
            assert float(number) == pytest.approx(value, rel=1e-5)


def _decoded(text: str) -> str:
    for letter in ":;=, \t\r\n%":
        text = text.replace(f"%{ord(letter):02X}", letter)
    return text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_records(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in.vcf").write_bytes(HEADER)
    run(tmp_path / f"out{suffix}", tmp_path / "in.vcf")
    if suffix == ".parquet":
        assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
    else:
        assert text_of(tmp_path / f"out{suffix}").count(b"\n") == HEADER.count(b"\n") + len(FIELDS)


# ---------------------------------------------------------------- refusals


def test_existing_files_are_kept_unless_told(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vcf"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists already"):
        run(path, source)
    with pytest.raises(InterruptedError):
        run(path, source, stop=2, overwrite=True)
    assert path.read_text() == "precious"
    run(path, source, overwrite=True)
    assert path.read_bytes().startswith(b"##fileformat")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"LLR": [1, 2]}, "LLR have the shape"),
        ({"LLR": np.zeros((3, 1))}, "needed is one per allele"),
        ({"LLR": ["a", "b", "c"]}, "needed are numbers"),
        ({"LLR": [True, False, True]}, "needed are numbers"),
        ({"RANK": [1, 2, 2.5]}, "RANK is an Integer field and got 2.5"),
        ({"RANK": [1, 2, 2**31]}, "at most 31 bits"),
        ({"OTHER": [1, 2, 3]}, "Values came for LLR, OTHER, RANK, STATUS; declared are LLR, RANK, STATUS"),
    ],
)
def test_bad_values_are_refused(first: tuple[VariantWriter, VariantBatch], values: dict, message: str) -> None:
    writer, batch = first
    with pytest.raises(DataError, match=message):
        writer.write(batch, {**score(batch), **values})
    assert writer.n_records == 0
    writer.write(batch, score(batch))
    assert writer.n_records == 2


def test_closed_writers_refuse(first: tuple[VariantWriter, VariantBatch]) -> None:
    writer, batch = first
    writer.close()
    for act in (lambda: writer.write(batch, score(batch)), writer.finish):
        with pytest.raises(ConfigError, match="is closed"):
            act()


def test_fields_that_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in.vcf").write_bytes(HEADER + b"1\t5\t.\tA\tC\t.\t.\tAC=1\n1\t6\t.\tA\tC\t.\t.\tX=1;LLR=2\n")
    reader = read_variants(tmp_path / "in.vcf")
    for fields in ([InfoField("AC", "Float", "")], [FIELDS[0], FIELDS[0]]):
        with pytest.raises(ConfigError, match="exist already"):
            VariantWriter(tmp_path / "out.vcf", reader.header, fields, fingerprint="")
    with pytest.raises(VcfError, match=r"Record 2 \(1:6\) has the INFO field LLR already"):
        run(tmp_path / "out.vcf", tmp_path / "in.vcf")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.xyz", {}, "must end in one of .vcf, .vcf.gz"),
        ("out.vcf", {"settings": {"x": object()}}, "cannot be kept as JSON"),
        ("out.vcf", {"settings": {"x": float("nan")}}, "cannot be kept as JSON"),
        ("out.vcf", {"extra_header": ["model=x"]}, "must begin with ##"),
    ],
)
def test_bad_settings_leave_nothing(source: Path, tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_writer(tmp_path / name, read_variants(source), **options)
    assert [p.name for p in tmp_path.iterdir()] == ["in.vcf"]


def test_columns_of_the_table_are_taken(tmp_path: Path) -> None:
    header = VcfHeader((), ())
    with pytest.raises(ConfigError, match="alt are columns of the table already"):
        VariantWriter(tmp_path / "out.parquet", header, [InfoField("alt", "String", "")], fingerprint="")
