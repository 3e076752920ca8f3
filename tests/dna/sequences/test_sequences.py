"""Named sequences from FASTA files, lists and series."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from Bio import SeqIO
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import FastaError, NotDNAError, TruncatedFileError
from r2mae_bio.io import is_fasta_path, read_sequences

FASTA = b">one first\nACGT\nacgtN\n\n>two\nRYnn\n"
# Without the time of day, which would give the test another name in every process.
ZIPPED = gzip.compress(FASTA, mtime=0)
EXPECTED = (["one", "two"], ["ACGTacgtN", "RYnn"])


@pytest.mark.parametrize("text", [FASTA, FASTA.rstrip(), FASTA.replace(b"\n", b"\r\n"), ZIPPED])
@pytest.mark.parametrize("form", [Path, str])
def test_fasta(tmp_path: Path, text: bytes, form: type) -> None:
    (tmp_path / "x.fa").write_bytes(text)
    assert read_sequences(form(tmp_path / "x.fa")) == EXPECTED


@given(st.lists(st.text("ACGTNacgtnRYK", min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 4))
def test_file_list_and_series_agree(tmp_path_factory: pytest.TempPathFactory, sequences: list[str], width: int) -> None:
    names = [f"s{i}" for i in range(len(sequences))]
    lines = [
        "\n".join([f">{n}", *(s[i : i + width] for i in range(0, len(s), width))]) for n, s in zip(names, sequences, strict=True)
    ]
    path = tmp_path_factory.mktemp("fasta") / "x.fasta"
    path.write_text("\n".join(lines))
    with path.open() as stream:
        oracle = [(record.id, str(record.seq)) for record in SeqIO.parse(stream, "fasta")]
    assert list(zip(*read_sequences(path), strict=True)) == oracle
    assert read_sequences(pd.Series(sequences, index=names)) == (names, sequences)
    assert read_sequences(sequences).sequences == sequences


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "a", "b", "a"], ["a", "a-1", "b", "a-2"]),
        (["a", "a-1", "a", "a"], ["a", "a-1", "a-2", "a-3"]),
        (["a", "a", "a-1", "a-1"], ["a", "a-2", "a-1", "a-1-1"]),
    ],
)
def test_repeated_names_are_made_unique(names: list[str], unique: list[str]) -> None:
    n_repeated = len(names) - len(set(names))
    with pytest.warns(UserWarning, match=f"{n_repeated} of {len(names)} names were repeated"):
        found = read_sequences(pd.Series(["A"] * len(names), index=names))
    assert found.names == unique


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([], FastaError, "There is no sequence"),
        (["ACGT", ""], FastaError, "sequence_1 is ''"),
        (["ACGT", None], FastaError, "sequence_1 is None"),
        (["ACGU"], NotDNAError, "holds 'U'.* RNA as T"),
        (["MKVLEF"], NotDNAError, "holds 'E' 'F' 'L'"),
        (["AC GT"], NotDNAError, "holds ' '"),
        ("ACGT", FastaError, "put a single sequence into a list"),
        ("none.txt", FastaError, "neither a FASTA file that exists nor a list"),
        ("none.fa", FastaError, "none.fa cannot be read"),
    ],
)
def test_bad_sequences_are_named(source: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        read_sequences(source)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", FastaError),
        (b"ACGT\n", FastaError),
        (b">a\n>b\nA\n", FastaError),
        (b">a\nACGX!\n", NotDNAError),
        (ZIPPED[:-9], TruncatedFileError),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: bytes, error: type) -> None:
    (tmp_path / "x.fa").write_bytes(text)
    with pytest.raises(error, match="x.fa"):
        read_sequences(tmp_path / "x.fa")


def test_paths_are_told_from_sequences(tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_bytes(FASTA)
    for path in ("x.fa", "x.FASTA.gz", "x.fna.bgz", Path("x.txt"), str(tmp_path / "odd.txt")):
        assert is_fasta_path(path)
    for other in ("ACGT", ["x.fa"], pd.Series(["A"]), None, "A" * 5000, str(tmp_path)):
        assert not is_fasta_path(other)
