"""Text files: whatever holds them, and what says that one is none."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from typing import TYPE_CHECKING

import pytest

from r2mae_bio._lines import TextSource, open_lines
from r2mae_bio.errors import BedError, VcfError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = b"one\ntwo\n"


def lines(path: Path) -> list[bytes]:
    with open_lines(path, VcfError) as stream:
        return list(stream)


@pytest.mark.parametrize("text", [TEXT, b"\xef\xbb\xbf" + TEXT], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_those_of_the_text(tmp_path: Path, pack: Callable[[bytes], bytes], text: bytes) -> None:
    (tmp_path / "a").write_bytes(pack(text))
    assert lines(tmp_path / "a") == [b"one\n", b"two\n"]


def test_a_path_in_the_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_bytes(TEXT)
    with open_lines("~/a", VcfError) as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("error", [BedError, VcfError])
def test_what_cannot_be_read_raises_the_error_of_the_caller(tmp_path: Path, error: type[VcfError]) -> None:
    with pytest.raises(error, match="none cannot be read .No such file"):
        TextSource(tmp_path / "none", error)
    with pytest.raises(error, match="cannot be read .Is a directory"), open_lines(tmp_path, error):
        pytest.fail("a folder was opened")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (bz2.compress(TEXT), "a bzip2 file"),
        (lzma.compress(TEXT), "an xz file"),
        (gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0), "compressed twice"),
        (TEXT.decode().encode("utf-16"), "UTF-16"),
    ],
)
def test_other_compressions_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(VcfError, match=what):
        lines(tmp_path / "a")


def test_what_a_pipe_gave_goes_with_its_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT,))
    writer.start()
    source = TextSource(tmp_path / "pipe", VcfError)
    writer.join()
    with source.open() as first, source.open() as second:
        assert first.read() == second.read() == TEXT
        copy = first.name
    del source
    assert not os.path.exists(copy)  # noqa: PTH110 - the name may be text
