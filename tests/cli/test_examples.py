"""Every example in the help of a command, and every line of docs/command_line.md, does what it
says, on files that are small and with training that is short.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from r2mae_bio.cli._app import app
from tutorials.fast import shorten

from .conftest import write_files

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command_line.md"
VERBS = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch.setattr)


def examples(text: str) -> list[str]:
    return re.findall(r"^ *(?:\$ )?(r2mae .*)$", text, flags=re.MULTILINE)


def check(line: str, r2mae: Any) -> None:
    """A line works, its result is there, and nobody but us says anything."""
    words = shlex.split(line)[1:]
    code, out, err = r2mae(*words, "--quiet")
    assert code == 0, err
    assert all(text.startswith("warning: ") for text in err.splitlines()), err
    assert out
    if "--out" in words:
        result = Path(words[words.index("--out") + 1])
        assert result.exists()
        assert result.with_name(f"{result.name}.config.yaml").is_file()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "pretrain"])
def test_the_examples_of_a_command_run(folder: Path, r2mae: Any, verb: str) -> None:
    lines = examples(r2mae(verb, "--help")[1].partition("Example:")[2])
    assert lines
    for line in lines:
        assert line.split()[1] == verb
        check(line, r2mae)


@pytest.mark.slow
def test_the_page_runs_from_its_first_line(tmp_path: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with the examples of pretraining, whose models the other lines need."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "caches" / project)
    write_files(tmp_path)
    lines = examples(PAGE.read_text(encoding="utf-8"))
    trained = examples(r2mae("pretrain", "--help")[1].partition("Example:")[2])
    assert trained
    assert set(trained) <= set(lines)
    for line in lines:
        check(line, r2mae)
    assert {line.split()[1] for line in lines} == set(VERBS)
