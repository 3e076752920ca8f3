"""Writing variants: unchanged but for INFO, whole or not at all, the same bytes after any
interruption.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from Bio import bgzf
from hypothesis import given, settings
from hypothesis import strategies as st

from r2mae_bio.dna.variants._sinks import compress_bgzf
from r2mae_bio.errors import ConfigError, DataError, JournalError, VcfError
from r2mae_bio.io import InfoField, VariantWriter, VcfHeader, read_variants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from r2mae_bio.io import VariantBatch, VariantReader

REPOSITORY = Path(__file__).resolve().parents[3]
HEADER = (
    b'##fileformat=VCFv4.2\n##INFO=<ID=AC,Number=A,Type=Integer,Description="x">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
)
FIELDS = [
    InfoField("LLR", "Float", "log-likelihood ratio, nats"),
    InfoField("RANK", "Integer", "rank"),
    InfoField("STATUS", "String", "status"),
]
SUFFIXES = [".vcf", ".vcf.gz", ".vcf.bgz", ".parquet"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """157 records, some multi-allelic."""
    rows = [b"1\t%d\t.\tA\t%s\t.\t.\tAC=%d" % (i + 1, b",".join([b"C", b"G", b"T"][: 1 + i % 3]), i) for i in range(157)]
    path = tmp_path / "in.vcf"
    path.write_bytes(HEADER + b"\n".join(rows) + b"\n")
    return path


def score(batch: VariantBatch) -> dict[str, Any]:
    """Values that depend on the allele alone; some are missing."""
    pairs = zip(batch.allele_pos.tolist(), batch.alt, strict=True)
    number = np.array([zlib.crc32(f"{pos} {alt}".encode()) / 2**32 for pos, alt in pairs])
    llr = np.where(number < 0.1, np.nan, number * 20 - 15).astype(np.float32)
    return {
        "LLR": llr,
        "RANK": np.ma.array((number * 99).astype(int), mask=number < 0.2),
        "STATUS": ["ok" if x > 0.3 else None for x in number],
    }


def open_writer(path: Path, reader: VariantReader, **options: Any) -> VariantWriter:
    options = {"fingerprint": reader.fingerprint(), "settings": {"seed": 1}, "commit_seconds": 0, **options}
    return VariantWriter(path, reader.header, FIELDS, **options)


def run(path: Path, source: Path, *, stop: int | None = None, batch_size: int = 25, **options: Any) -> None:
    """Score and write; with ``stop``, leave after so many batches as a crash would, by an
    exception.
    """
    reader = read_variants(source, batch_size=batch_size)
    with open_writer(path, reader, **options) as writer:
        for i, batch in enumerate(reader.batches(skip=writer.n_records)):
            if i == stop:
                raise InterruptedError
            writer.write(batch, score(batch))


def leftovers(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if p.name.startswith(path.name) and p != path)


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


@given(st.binary(max_size=300), st.integers(1, 700))
def test_bgzip_blocks_hold_what_was_written(piece: bytes, times: int) -> None:
    """Including what does not compress, over the ends of blocks."""
    noise = np.random.default_rng(times).bytes(times * 200)
    for data in (piece * times, noise):
        assert gzip.decompress(compress_bgzf(data)) == data if data else compress_bgzf(data) == b""


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


# ---------------------------------------------------------------- interruption


def _append(part: Path, _: Path) -> None:
    with part.open("ab") as stream:
        stream.write(b"half a batch" * 10_000)  # longer than what is still to come


BETWEEN: dict[str, Callable[[Path, Path], None]] = {
    "nothing": lambda part, state: None,
    "a batch was half written": _append,
    "the state was half written": lambda part, state: state.with_name(state.name + ".tmp").write_bytes(b"{"),
    "the state is missing": lambda part, state: state.unlink(),
    "the part is missing": lambda part, state: part.unlink(),
}


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".parquet"])
@pytest.mark.parametrize("event", BETWEEN)
def test_interrupted_equals_uninterrupted(source: Path, tmp_path: Path, suffix: str, event: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    run(whole, source, commit_seconds=1000)
    for stop in (0, 1, 2):
        with pytest.raises(InterruptedError):
            run(path, source, stop=stop)
        assert not path.exists()
        BETWEEN[event](tmp_path / f"out{suffix}.part", tmp_path / f"out{suffix}.part.json")
    run(path, source)
    assert path.read_bytes() == whole.read_bytes()
    assert leftovers(path) == []


def test_a_resumed_run_does_not_repeat(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.vcf", source, stop=3)
    reader = read_variants(source, batch_size=25)
    with open_writer(tmp_path / "out.vcf", reader) as writer:
        assert writer.n_records == 75
        with pytest.raises(ConfigError, match="begins at record 0; expected is 75"):
            writer.write(next(iter(reader)), score(next(iter(reader))))
        writer.close()


def test_an_error_within_a_batch_loses_only_that_batch(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source, batch_size=10)
    writer = open_writer(tmp_path / "out.vcf", reader, commit_seconds=1000)
    batches = list(reader)
    writer.write(batches[0], score(batches[0]))
    with pytest.raises(DataError), writer:
        writer.write(batches[1], {"LLR": []})
    run(tmp_path / "whole.vcf", source)
    run(tmp_path / "out.vcf", source)
    assert (tmp_path / "out.vcf").read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def test_cut_input_leaves_no_output(source: Path, tmp_path: Path) -> None:
    rows = b"".join(b"1\t%d\t.\tA\tC\t.\t.\tX=%x\n" % (i, i * 7919**3) for i in range(9000))
    whole = gzip.compress(HEADER + rows)
    (tmp_path / "cut.vcf.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VcfError, match="output was not finished"):
        run(tmp_path / "out.vcf", tmp_path / "cut.vcf.gz", batch_size=100)
    assert leftovers(tmp_path / "out.vcf") == ["out.vcf.part", "out.vcf.part.json"]
    assert not (tmp_path / "out.vcf").exists()


def test_another_run_is_not_continued(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vcf"
    with pytest.raises(InterruptedError):
        run(path, source, stop=3)
    with pytest.raises(JournalError, match=r"differs in settings seed \(then 1, now 2\).* resume=False"):
        run(path, source, settings={"seed": 2})
    with pytest.raises(JournalError, match=r"settings more \(then None, now 'x'\)"):
        run(path, source, settings={"seed": 1, "more": "x"})
    with pytest.raises(JournalError, match="differs in input"):
        run(path, source, fingerprint="of another file")
    with pytest.raises(JournalError, match="differs in header"):
        run(path, source, extra_header=["##model=other"])
    run(path, source, settings={"seed": 2}, resume=False)
    run(tmp_path / "whole.vcf", source)
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def _flip(part: Path, _: Path) -> None:
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "is not what .* describes": _flip,
    "is not what": lambda part, state: part.write_bytes(part.read_bytes()[:-1]),
    "is not a state": lambda part, state: state.write_bytes(state.read_bytes()[:-5]),
    "not a state written by this version": lambda part, state: state.write_text("[]"),
    "state written by this version": lambda part, state: state.write_text(state.read_text().replace("journal 1", "journal 0")),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_parts_are_refused(source: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.vcf", source, stop=3)
    DAMAGES[message](tmp_path / "out.vcf.part", tmp_path / "out.vcf.part.json")
    with pytest.raises(JournalError, match=message):
        run(tmp_path / "out.vcf", source)
    run(tmp_path / "out.vcf", source, resume=False)


def test_states_come_as_often_as_asked(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source, batch_size=10)
    for seconds, records in ((0, 20), (1000, None)):
        writer = open_writer(tmp_path / "out.vcf", reader, commit_seconds=seconds, resume=False)
        for batch in list(reader)[:2]:
            writer.write(batch, score(batch))
        state = tmp_path / "out.vcf.part.json"
        assert (json.loads(state.read_text())["records"] if state.exists() else None) == records
        writer.close()
        assert json.loads(state.read_text())["records"] == 20


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock")
def test_two_runs_do_not_write_one_file(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source)
    first = open_writer(tmp_path / "out.vcf", reader)
    with pytest.raises(JournalError, match="Another run is writing"):
        open_writer(tmp_path / "out.vcf", reader)
    first.close()
    open_writer(tmp_path / "out.vcf", reader).close()


SLOW_CHILD = """
import sys, time
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("writing", sys.argv[1])
sys.modules["writing"] = writing = module_from_spec(spec)
spec.loader.exec_module(writing)
reader = writing.read_variants(sys.argv[2], batch_size=2)
writers = [writing.open_writer(writing.Path(path), reader) for path in sys.argv[3:]]
for batch in reader.batches(skip=min(writer.n_records for writer in writers)):
    time.sleep(0.02)
    for writer in writers:
        if writer.n_records == batch.start:
            writer.write(batch, writing.score(batch))
    print(batch.start, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_and_resumed_equals_uninterrupted(source: Path, tmp_path: Path) -> None:
    """One child writes all three forms; it is killed twice, somewhere after a batch was
    reported.
    """
    paths = [tmp_path / name for name in ("a.vcf", "b.vcf.gz", "c.parquet")]
    command = [sys.executable, "-c", SLOW_CHILD, __file__, str(source), *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for n_batches in (3, 9):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            reported = [child.stdout.readline() for _ in range(n_batches)]
            child.kill()
        assert child.returncode == -9, reported
        for path in paths:
            assert not path.exists()
            state = json.loads(path.with_name(path.name + ".part.json").read_text())
            assert state["records"] >= int(reported[-1]) + 2  # what was reported is not lost
    for path in paths:
        whole = path.with_name("whole" + path.name)
        run(path, source, batch_size=2)
        run(whole, source, batch_size=2, commit_seconds=1000)
        assert path.read_bytes() == whole.read_bytes()
        assert leftovers(path) == []


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


@pytest.fixture
def first(source: Path, tmp_path: Path) -> Iterator[tuple[VariantWriter, VariantBatch]]:
    reader = read_variants(source, batch_size=2)
    writer = open_writer(tmp_path / "out.vcf", reader)
    yield writer, next(iter(reader))
    writer.close()


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
        ("out.bcf", {}, "must end in one of .vcf, .vcf.gz"),
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
