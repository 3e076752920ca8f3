"""Reading VCF: every record, in order, byte for byte; damage is named."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from r2mae_bio._lines import compress_bgzf
from r2mae_bio.errors import ConfigError, VcfError
from r2mae_bio.io import read_variants

if TYPE_CHECKING:
    from pathlib import Path


META = b"##fileformat=VCFv4.2\n##contig=<ID=1,length=500>\n##contig=<ID=HLA:1>\n"


COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


ROWS = [
    b"1\t10\trs1\tA\tC\t50\tPASS\tAC=1",
    b"1\t10\t.\ta\tg,T\t.\t.\t.",
    b"1\t20\t.\tN\t<DEL>,*,GG\t.\t.\tEND=30;FLAG",
    b"MT\t0\t.\tACGT\t.\t.\t.\t",
    b"1\t7\t.\tC\tC[2:5[\t.\t.\tTXT=caf\xe9",
]


END = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00\x1b\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def content(rows: list[bytes] = ROWS, columns: bytes = COLUMNS) -> bytes:
    return META + b"\n".join([columns, *rows]) + b"\n"


def write(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


FORMS = {
    "plain": lambda text: text,
    "gzip": lambda text: gzip.compress(text, mtime=0),  # by default the time stands in the file
    "gzip members": lambda text: b"".join(gzip.compress(text[i : i + 40]) for i in range(0, len(text), 40)),
    "bgzip": lambda text: compress_bgzf(text) + END,
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "no last newline": lambda text: text.removesuffix(b"\n"),
    "CRLF, no last newline": lambda text: text.removesuffix(b"\n").replace(b"\n", b"\r\n"),
    "blank lines at the end": lambda text: text + b"\n\r\n\n",
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text,
    "bgzip files one after the other": lambda text: b"".join(
        compress_bgzf(text[i : i + 99]) + END for i in range(0, len(text), 99)
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_every_record_comes_as_it_stands(tmp_path: Path, form: str, batch_size: int) -> None:
    path = write(tmp_path / "in.vcf", FORMS[form](content()))
    reader = read_variants(path, batch_size=batch_size)
    batches = list(reader)
    assert list(chain.from_iterable(b.lines for b in batches)) == ROWS
    assert [b.start for b in batches] == list(range(0, len(ROWS), batch_size))
    assert all(b.n_records <= batch_size for b in batches)
    assert reader.header.encode() == META + COLUMNS + b"\n"


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_columns_agree_with_a_plain_split(tmp_path: Path, batch_size: int) -> None:
    found = []
    for batch in read_variants(write(tmp_path / "in.vcf", content()), batch_size=batch_size):
        site = zip(batch.allele_chrom, batch.allele_pos.tolist(), batch.allele_ref, batch.alt, strict=True)
        place = zip((batch.start + batch.record).tolist(), batch.alt_index.tolist(), strict=True)
        found += [(*p, *s, batch.id[p[0] - batch.start]) for p, s in zip(place, site, strict=True)]
    expected = []
    for record, row in enumerate(ROWS):
        chrom, pos, name, ref, alts = (c.decode() for c in row.split(b"\t")[:5])
        expected += [(record, i, chrom, int(pos), ref, alt, name) for i, alt in enumerate(alts.split(","))]
    assert found == expected


def test_header_knows_contigs_and_samples(tmp_path: Path) -> None:
    rows = [row + b"\tGT\t0/1\t./." for row in ROWS]
    reader = read_variants(write(tmp_path / "in.vcf", content(rows, COLUMNS + b"\tFORMAT\tx\ty")))
    assert reader.header.contigs == {"1": 500, "HLA:1": None}
    assert reader.header.n_samples == 2
    assert [line for batch in reader for line in batch.lines] == rows


@pytest.mark.parametrize("n", range(len(ROWS) + 1))
def test_skipping_gives_the_rest(tmp_path: Path, n: int) -> None:
    reader = read_variants(write(tmp_path / "in.vcf", content()), batch_size=2)
    rest = list(reader.batches(skip=n))
    assert [line for batch in rest for line in batch.lines] == ROWS[n:]
    assert [batch.start for batch in rest] == list(range(n, len(ROWS), 2))


def test_skipping_more_than_there_is_fails(tmp_path: Path) -> None:
    reader = read_variants(write(tmp_path / "in.vcf", content()))
    with pytest.raises(VcfError, match="holds 5 records, of which 6 were to be skipped"):
        next(reader.batches(skip=6))


def test_batches_after_a_skip_are_those_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where long lines end batches early, so that a resumed run computes the same batches."""
    monkeypatch.setattr("r2mae_bio.dna.variants._vcf_read._MAX_BATCH_BYTES", 100_000)
    rows = [b"1\t%d\t.\tA\tC\t.\t.\tX=%s" % (i, b"x" * (1000 if i % 3 else 1)) for i in range(2000)]
    reader = read_variants(write(tmp_path / "in.vcf.gz", gzip.compress(content(rows), 1)), batch_size=590)
    whole = [(b.start, b.n_records) for b in reader]
    assert any(n < 590 for _, n in whole[:-1])
    for start, _ in whole[1:]:
        assert [(b.start, b.n_records) for b in reader.batches(skip=start)] == [w for w in whole if w[0] >= start]


def test_memory_is_bounded(tmp_path: Path) -> None:
    """40 MB of records are read with less than a tenth of that."""
    row = b"1\t1\t.\tA\tC\t.\t.\t" + b"x" * 1000
    path = tmp_path / "in.vcf.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(content([]))
        for _ in range(400):
            stream.write((row + b"\n") * 100)
    tracemalloc.start()
    assert sum(batch.n_records for batch in read_variants(path, batch_size=512)) == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_no_record_is_no_error(tmp_path: Path) -> None:
    assert list(read_variants(write(tmp_path / "in.vcf", content([])))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (META, "ends before the line #CHROM"),
        (ROWS[0] + b"\n", r"Line 1 .* is '1\\t10.* pass the DataFrame"),
        (META + ROWS[0] + b"\n", "Line 4 .* needed is a header"),
        (content().replace(b"INFO", b"info"), "Line 4 .* needed are #CHROM, POS"),
        (content().replace(b"\tINFO", b""), "Line 4 .* needed are #CHROM"),
        (content(columns=COLUMNS.replace(b"\t", b" ")), "separated by tabs"),
        (content(columns=COLUMNS + b"\tFORMAT"), "FORMAT only together with samples"),
        (b"BCF\x02\x02" + content(), "is BCF, but cannot be read"),
    ],
)
@pytest.mark.parametrize("form", ["plain", "gzip"])
def test_bad_headers_are_refused_at_once(tmp_path: Path, text: bytes, message: str, form: str) -> None:
    with pytest.raises(VcfError, match=message):
        read_variants(write(tmp_path / "in.vcf", FORMS[form](text)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"1\t10\t.\tA\tC\t.\t.", "Line 6 .* has 7 columns, the header has 8"),
        (b"1\t10\t.\tA\tC\t.\t.\t.\tGT", "Line 6 .* has 9 columns"),
        (b"1 10 . A C . . .", "Line 6 .* has 1 columns.* separated by tabs"),
        (b"1\tten\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position 'ten'"),
        (b"1\t-5\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position '-5'"),
        (b"1\t1_0\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position '1_0'"),
        (b"1\t1.0\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position '1.0'"),
        (b"1\t\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position ''"),
        (b"1\t2147483648\t.\tA\tC\t.\t.\t.", "Line 6 .* from 0 to 2147483647"),
        (b"1\t" + b"9" * 5000 + b"\t.\tA\tC\t.\t.\t.", "Line 6 .* has the position '999"),
        (b"1\t10\t.\tA\t\xff\t.\t.\t.", "Line 6 .* is not UTF-8"),
        (b"", "Line 6 .* is blank, and records follow"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_bad_records_are_named_by_line(tmp_path: Path, row: bytes, message: str, batch_size: int) -> None:
    reader = read_variants(write(tmp_path / "in.vcf", content([ROWS[0], row, ROWS[1]])), batch_size=batch_size)
    with pytest.raises(VcfError, match=message):
        list(reader)


def _long_gzip() -> bytes:
    return gzip.compress(content([b"1\t%d\t.\tA\tC\t.\t.\t%x" % (i, i * 7919**3) for i in range(20_000)]))


def test_cut_gzip_says_how_many_records_were_read(tmp_path: Path) -> None:
    whole = _long_gzip()
    cut = whole[: len(whole) * 2 // 3]
    reader = read_variants(write(tmp_path / "in.vcf.gz", cut), batch_size=100)
    seen: list[bytes] = []
    with pytest.raises(VcfError, match="cut or damaged .* records could be read.* output was not finished") as caught:
        seen.extend(line for batch in reader for line in batch.lines)
    said = int(str(caught.value).split("): ")[1].split()[0])
    readable = zlib.decompressobj(31).decompress(cut)
    assert said == readable.count(b"\n") - content([]).count(b"\n")  # every whole line before the cut
    assert len(seen) == said // 100 * 100  # whole batches were handed out


@pytest.mark.parametrize("level", [0, 9])
def test_a_flipped_bit_never_passes(tmp_path: Path, level: int) -> None:
    """Stored without compression, damaged records may look well; only the checksum at the end
    tells.
    """
    rows = [b"1\t%d\t.\tA\tC\t.\t.\tX=%x" % (i, i * 7919**3) for i in range(2000)]
    damaged = bytearray(gzip.compress(content(rows), level))
    damaged[len(damaged) // 2] ^= 0x01
    with pytest.raises(VcfError, match="cut or damaged .CRC" if level == 0 else "in.vcf.gz"):
        list(read_variants(write(tmp_path / "in.vcf.gz", bytes(damaged))))


def test_header_cut_inside_gzip(tmp_path: Path) -> None:
    text = META + b"".join(b"##x=%x\n" % (i * 7919**5) for i in range(3000))
    with pytest.raises(VcfError, match="cut or damaged .*: 0 records"):
        read_variants(write(tmp_path / "in.vcf.gz", gzip.compress(text)[:2000]))


@pytest.mark.parametrize("cut", [len(END), len(END) + 10, 1])
def test_cut_bgzip_is_refused_before_any_work(tmp_path: Path, cut: int) -> None:
    """Cut between two blocks it is valid gzip: only the last, empty block is missing."""
    whole = compress_bgzf(content()) + END
    with pytest.raises(VcfError, match="without the block that ends one"):
        read_variants(write(tmp_path / "in.vcf.gz", whole[:-cut]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VcfError, match=r"none.vcf cannot be read \(No such file"):
        read_variants(tmp_path / "none.vcf")


@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip"])
def test_a_pipe_gives_every_record_each_time(tmp_path: Path, form: str) -> None:
    """It can be read once, and batches are read several times."""
    rows = [b"1\t%d\t.\tA\tC\t.\t.\t%x" % (i, i * 7919**3) for i in range(5000)]
    packed, pipe = FORMS[form](content(rows)), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(packed,))
    writer.start()
    reader = read_variants(pipe, batch_size=1000)
    writer.join()
    for skip in (0, 0, 4321):
        assert [line for batch in reader.batches(skip=skip) for line in batch.lines] == rows[skip:]
    assert reader.fingerprint() == read_variants(write(tmp_path / "in.vcf", packed)).fingerprint()


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("piped", [True, False])
def test_standard_input(tmp_path: Path, name: str, piped: bool) -> None:
    code = (
        f"from r2mae_bio.io import read_variants; r = read_variants({name!r}); print([sum(b.n_records for b in r) for _ in 'ab'])"
    )
    path = write(tmp_path / "in.vcf", content(ROWS * 5000))
    with path.open("rb") as stream:
        given: dict[str, Any] = {"input": stream.read()} if piped else {"stdin": stream}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=120, **given)
    assert done.stdout.split() == [b"[25000,", b"25000]"], done.stderr


def test_batch_size_must_be_positive(tmp_path: Path) -> None:
    for size in (0, True):
        with pytest.raises(ConfigError, match=f"batch_size is {size}"):
            read_variants(tmp_path / "none.vcf", batch_size=size)


def test_fingerprint_follows_the_bytes(tmp_path: Path) -> None:
    one, same = write(tmp_path / "a.vcf", content()), write(tmp_path / "b.vcf", content())
    other = write(tmp_path / "c.vcf", content().replace(b"AC=1", b"AC=2"))
    prints = [read_variants(path).fingerprint() for path in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
