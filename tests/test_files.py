"""Files and folders appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from r2mae_bio._files import overlapping, whole_file, whole_folder

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    for text in ("first", "second"):
        with whole_file(path) as temporary:
            temporary.write_text(text)
            assert temporary.suffix == ".csv"
            assert path.exists() == (text == "second")
        assert path.read_text() == text
        assert names(path.parent) == ["table.csv"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_what_fails_leaves_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    path, folder = tmp_path / "file", tmp_path / "folder"
    path.write_text("old")
    folder.mkdir()
    (folder / "a").write_text("old")

    def write_half(file: Path) -> None:
        file.write_text("half")
        raise failure

    with pytest.raises(failure), whole_file(path) as temporary:
        write_half(temporary)
    with pytest.raises(failure), whole_folder(folder, overwrite=True) as temporary:
        write_half(temporary / "a")
    assert names(tmp_path) == ["file", "folder", "folder/a"]
    assert path.read_text() == (folder / "a").read_text() == "old"


def test_a_writer_that_is_alone_writes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    left = tmp_path / "state.tmp"
    left.write_text("half of a longer text")
    with whole_file(tmp_path / "state", temporary=left) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["state"]
    assert (tmp_path / "state").read_text() == "whole"


def test_a_folder_is_replaced_only_if_asked(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    with whole_folder(folder) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "a").write_text("first")
    with pytest.raises(OSError, match="folder"), whole_folder(folder) as temporary:
        (temporary / "b").write_text("second")
    assert names(tmp_path / "deep") == ["folder", "folder/inner", "folder/inner/a"]
    with whole_folder(folder, overwrite=True) as temporary:
        (temporary / "b").write_text("second")
    assert names(tmp_path / "deep") == ["folder", "folder/b"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    (folder / "old").write_text("old")
    link.symlink_to(folder)
    with whole_folder(link, overwrite=True) as temporary:
        (temporary / "new").write_text("new")
    assert link.is_symlink()
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["folder", "folder/new", "link"]


def test_what_a_new_file_would_cost(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("")
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    for path, lost in {file: file, folder: folder, tmp_path: file, tmp_path / "link" / "deep": folder}.items():
        assert overlapping(path, [file, folder]) == lost
    assert overlapping(tmp_path / "file2", [file, folder]) is None
    assert overlapping(tmp_path / "new" / "one", []) is None
