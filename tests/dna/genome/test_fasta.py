"""FASTA as a stream: equal to Biopython, whatever the line ends, the compression and the block;
damaged files refused by line.
"""

from __future__ import annotations

import gzip
import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from Bio import SeqIO, bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import FastaError, NotDNAError, TruncatedFileError
from r2mae_bio.dna.genome._fasta import LONGEST_HEADER, Header, stream_fasta

if TYPE_CHECKING:
    from pathlib import Path

LETTERS = "ACGTNRYSWKMBDHVacgtnryswkmbdhv"
RECORDS = st.lists(
    st.tuples(
        st.text("abcXYZ019_.|:-", min_size=1, max_size=8),
        st.text("ab >=;", max_size=9),
        st.text(LETTERS, min_size=1, max_size=60),
    ),
    min_size=1,
    max_size=5,
)


def write_fasta(path: Path, text: bytes, compression: str = "plain") -> Path:
    if compression == "gzip":
        text = gzip.compress(text)
    if compression == "bgzip":
        packed = io.BytesIO()
        with bgzf.BgzfWriter(fileobj=packed) as out:
            out.write(text)
            out.flush()
            path.write_bytes(packed.getvalue() + bgzf._bgzf_eof)
        return path
    path.write_bytes(text)
    return path


def read(path: Path, block: int = 1 << 20) -> list[tuple[str, str, str]]:
    """All records: name, description, bases."""
    records: list[list[str]] = []
    for piece in stream_fasta(path, block=block):
        if isinstance(piece, Header):
            records.append([piece.name, piece.description, ""])
        else:
            records[-1][2] += piece.decode()
    return [(name, description, bases) for name, description, bases in records]


def layout(records: list[tuple[str, str, str]], width: int, newline: str, last: bool) -> str:
    lines = []
    for name, description, bases in records:
        lines += [f">{name} {description}".rstrip(), *(bases[i : i + width] for i in range(0, len(bases), width)), ""]
    return newline.join(lines[: None if last else -1])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=RECORDS,
    width=st.integers(1, 70),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    block=st.integers(32, 90),
    compression=st.sampled_from(["plain", "gzip", "bgzip"]),
)
def test_agrees_with_biopython(tmp_path, records, width, newline, last, block, compression) -> None:
    text = layout(records, width, newline, last)
    path = write_fasta(tmp_path / "a.fa", text.encode(), compression)
    expected = list(SeqIO.parse(io.StringIO(text, newline=None), "fasta"))
    found = read(path, block)
    assert [(name, bases) for name, _, bases in found] == [(record.id, str(record.seq)) for record in expected]
    assert [f"{name} {description}".split() for name, description, _ in found] == [
        record.description.split() for record in expected
    ]


def test_blanks_and_a_byte_order_mark_are_left_out(tmp_path) -> None:
    path = write_fasta(tmp_path / "a.fa", b"\xef\xbb\xbf\n\n>one\tfirst record\nAC GT\t\n\n  NN \n>two\nA")
    assert read(path) == [("one", "first record", "ACGTNN"), ("two", "", "A")]


def test_memory_does_not_grow_with_a_line(tmp_path) -> None:
    """A contig of 32 Mb on a single line costs a few blocks."""
    path = write_fasta(tmp_path / "a.fa", b">one\n" + b"ACGT" * (8 << 20))
    tracemalloc.start()
    n_bases = sum(len(piece) for piece in stream_fasta(path) if not isinstance(piece, Header))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_bases == 32 << 20
    assert peak < 8 << 20


REFUSED = [
    pytest.param(b"", FastaError, "empty.*Needed is at least one record", id="empty"),
    pytest.param(b"\n \n", FastaError, "blank lines only", id="blank"),
    pytest.param(b"\nACGT\n>one\nAC", FastaError, r"line 2: text before the first '>': 'ACGT'.*remove", id="preamble"),
    pytest.param(b">one\nAC\n>two\n>three\nAC", FastaError, "line 3, record 'two': no bases", id="empty record"),
    pytest.param(b">one\nAC\n>two\n", FastaError, "line 3, record 'two': no bases", id="empty last record"),
    pytest.param(b">one\nAC\n>two", FastaError, "line 3, record 'two': no bases", id="header at the end"),
    pytest.param(b">one\nAC\n>\nAC", FastaError, "line 3: no name", id="no name"),
    pytest.param(b">one\nAC\n> two\nAC", FastaError, "line 3: no name right after '>'", id="blank before the name"),
    pytest.param(b">one\rACGT\r>two\rAC", FastaError, "line 1.*Macintosh", id="carriage returns"),
    pytest.param(b">" + b"a" * (LONGEST_HEADER + 1), FastaError, "line 1.*longer than", id="endless header"),
    pytest.param(b">one\nACGT\nACGU\n", NotDNAError, "line 3, record 'one': found 'U'.*RNA.*Replace U by T", id="rna"),
    pytest.param(b">p\nMKVLAAGIE\n", NotDNAError, "line 2, record 'p': found 'L'.*protein", id="protein"),
    pytest.param(b">p\nMUKVLA\n", NotDNAError, "protein", id="protein with selenocysteine"),
    pytest.param(b">one\nAC\nAC-GT\n", NotDNAError, "line 3.*'-'.*gaps", id="gap"),
    pytest.param(b">one\n;made of lovely DNA\nAC\n", NotDNAError, "line 2.*';'; this looks like a comment.*grep", id="comment"),
    pytest.param(b">one\nAC ; to here\n", NotDNAError, "line 2.*';'; this looks like a comment", id="comment in a line"),
    pytest.param(b">one\nACXXGT\n", NotDNAError, "replace it by N", id="x"),
    pytest.param(b">one\nAC>two\nAC", NotDNAError, "line 2.*a new record must start on a new line", id="lost line end"),
    pytest.param(b">one\n 1 acgt\n", NotDNAError, "numbers", id="numbers"),
    pytest.param(b">one\nAC!GT\n", NotDNAError, "'!'; this is no letter of DNA", id="other"),
    pytest.param(b">one\nAC\0\xffGT\n", NotDNAError, "binary", id="binary inside"),
    pytest.param(bytes(range(1, 256)), NotDNAError, "binary", id="binary"),
    pytest.param(b"@read\nACGT\n+\nIIII\n", FastaError, "FASTQ", id="fastq"),
    pytest.param(b"LOCUS       X\n", FastaError, "GenBank", id="genbank"),
    pytest.param(b"BZh91AY&SY", NotDNAError, "bzip2.*decompress", id="bzip2"),
    pytest.param(">one\nAC".encode("utf-16"), NotDNAError, "UTF-16", id="utf-16"),
]


@pytest.mark.parametrize(("text", "error", "match"), REFUSED)
@pytest.mark.parametrize("compression", ["plain", "gzip"])
def test_refusals_name_file_line_and_record(tmp_path, text, error, match, compression) -> None:
    path = write_fasta(tmp_path / "bad.fa", text, compression)
    with pytest.raises(error, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("block", [32, 40, 1 << 20])
def test_line_numbers_do_not_depend_on_the_block(tmp_path, block) -> None:
    path = write_fasta(tmp_path / "bad.fa", b">one description\n" + b"ACGTACGTAC\n" * 20 + b"ACGTUCGT\n")
    with pytest.raises(NotDNAError, match="line 22, record 'one'"):
        read(path, block)


@pytest.mark.parametrize("compression", ["gzip", "bgzip"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_compression_is_refused(tmp_path, compression, kept) -> None:
    path = write_fasta(tmp_path / "a.fa.gz", b">one\n" + LETTERS.encode() * 9999, compression)
    packed = path.read_bytes()
    path.write_bytes(packed[: int(len(packed) * kept)])
    with pytest.raises(TruncatedFileError, match=r"a\.fa\.gz.*(truncated|cut off)"):
        read(path)


def test_bgzip_cut_between_blocks_is_refused(tmp_path) -> None:
    """Such a file is valid gzip, so that gzip readers take it for the whole."""
    path = write_fasta(tmp_path / "a.fa.gz", b">one\n" + LETTERS.encode() * 9999, "bgzip")
    packed = path.read_bytes()
    first_block = 1 + int.from_bytes(packed[16:18], "little")
    path.write_bytes(packed[:first_block])
    assert gzip.decompress(path.read_bytes()).startswith(b">one\n")
    with pytest.raises(TruncatedFileError, match="without the empty block"):
        read(path)


def test_damaged_gzip_is_refused(tmp_path) -> None:
    packed = bytearray(gzip.compress(b">one\n" + LETTERS.encode() * 99))
    packed[-6] ^= 1  # in the checksum
    with pytest.raises(TruncatedFileError, match="damaged"):
        read(write_fasta(tmp_path / "a.fa.gz", bytes(packed)))


def test_a_file_that_cannot_be_read_is_refused(tmp_path) -> None:
    for path in (tmp_path / "missing.fa", tmp_path):
        with pytest.raises(FastaError, match="cannot be read"):
            read(path)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["ecoli_k12/genome.fa.gz", "yeast_s288c_chr1_2/genome.fa.gz", "mito_animals/genome.fa.gz"])
def test_real_genomes_agree_with_biopython(shared_data, name) -> None:
    path = shared_data / "dna" / name
    with gzip.open(path, "rt") as text:
        expected = [(record.id, str(record.seq)) for record in SeqIO.parse(text, "fasta")]
    assert [(name, bases) for name, _, bases in read(path)] == expected
