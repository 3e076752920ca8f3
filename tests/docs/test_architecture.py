"""docs/architecture.md says what is there: its drawing, its paths, its names, its links."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("grimp")  # comes with import-linter

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "architecture.md"
SCRIPT = REPOSITORY / "docs" / "draw_house.py"
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
TABLE, HOW = PROSE.partition("## Where do I look")[2].split("## How do I add")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("|")][2:]
SECTIONS = dict(zip(*[iter(re.split(r"^### (.*)$", HOW, flags=re.MULTILINE)[1:])] * 2, strict=True))
ROOTS = ("r2mae_bio/", "tests/", "docs/", "data_registry/", "benchmarks/")
# Words of the page that are no names of the files beside which they stand.
ELSEWHERE = {"a store of cells": {"GeneMAE"}, "a DNA model of another package": {"integrations"}}


@cache
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def drawn() -> str:
    return script().drawing()


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def paths(text: str) -> list[Path]:
    """Paths of the repository, those of ``path::name`` included."""
    found = [word.partition("::")[0] for word in quoted(text)]
    return [REPOSITORY / word for word in found if re.fullmatch(r"[\w./-]+", word) and word.startswith(ROOTS)]


@cache
def defined(path: Path) -> set[str]:
    """What a module defines at its top level, members of classes as ``Class.member``."""
    if path.suffix != ".py":
        return set()
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names |= _names(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member}" for part in node.body for member in _names(part)}
    return names


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


# ---------------------------------------------------------------- the drawing


def test_the_drawing_is_that_of_the_imports() -> None:
    assert script().with_drawing(TEXT, drawn()) == TEXT, "run python docs/draw_house.py --write"


def test_every_room_has_a_paragraph() -> None:
    rooms = {line.split()[0] for line in re.split(r"[│\n]", drawn()) if re.match(r" +\w+ \d", line)}
    rooms -= {"hall"}
    said = PROSE.partition("## The rooms")[2].partition("## Where")[0]
    told = {word for name in quoted(said) for word in name.split("/")}
    assert rooms <= told
    assert len(rooms) > 25


TOY = {
    "__init__": "",
    "shop": "from r2mae_bio._lazy import lazily\nlazily(__name__, {'left.attic._a': 'name'})",
    "left/__init__": "",
    "left/_loose": "",
    "left/attic/__init__": "",
    "left/attic/_a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from r2mae_bio.left.cellar import _b",
    "left/attic/_c": "def late():\n    from r2mae_bio import engine",
    "left/cellar/__init__": "",
    "left/cellar/_b": "import r2mae_bio.right.only._d\nfrom r2mae_bio._lazy import lazily",
    "right/__init__": "",
    "right/only/__init__": "",
    "right/only/_d": "",
    "engine/__init__": "from r2mae_bio.engine import _e",
    "engine/_e": "",
    "_lazy": "def lazily(door, table): pass",
}
TOY_HOUSE = [
    "shop → left[attic]",
    "left/ right/",
    "attic 2 → .cellar engine only 1",
    "cellar 1 → right[only]",
    "hall 1",
    "engine 1",
    "_lazy",
]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A small house, whose every kind of import is drawn: late, for typing, and by a table."""
    for name, source in TOY.items():
        path = tmp_path / "r2mae_bio" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    layers = ["(cli)", "shop", "left | right", "engine", "_lazy"]
    contract = f'[[tool.importlinter.contracts]]\nid = "direction"\nlayers = {layers}\n'
    (tmp_path / "pyproject.toml").write_text(contract)
    (tmp_path / "docs").mkdir()
    shutil.copy(SCRIPT, tmp_path / "docs")
    return tmp_path


def run(folder: Path, *options: str) -> Any:
    command = [sys.executable, str(folder / "docs" / SCRIPT.name), *options]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder, timeout=60)


def test_a_house_is_drawn_as_it_is_and_a_page_that_is_not_is_found(toy: Path) -> None:
    done = run(toy)
    assert done.returncode == 0, done.stderr
    rows = [" ".join(re.sub("[│─┌┐├┤┬┴┼└┘]", " ", line).split()) for line in done.stdout.splitlines()]
    assert [row for row in rows if row] == TOY_HOUSE
    page = toy / "docs" / "architecture.md"
    page.write_text(f"Above.\n\n{script().BEGIN}\n{script().END}\n\nBelow.\n")
    assert run(toy, "--check").returncode == 1
    assert run(toy, "--write").returncode == 0
    assert done.stdout in page.read_text(encoding="utf-8")
    assert run(toy, "--check").returncode == 0
    (toy / "r2mae_bio" / "left" / "attic" / "_f.py").touch()
    found = run(toy, "--check")
    assert found.returncode == 1
    assert "out of date" in found.stderr


# ---------------------------------------------------------------- paths, names, links


def test_paths_exist() -> None:
    named = paths(PROSE)
    missing = [str(path) for path in named if not path.exists()]
    assert not missing
    assert len(named) > 80


def test_the_table_has_a_row_for_each_behaviour_and_names_what_its_files_define() -> None:
    assert len(ROWS) == len({row[0] for row in ROWS}) == 59
    for behaviour, files, names in ROWS:
        here = set().union(*map(defined, paths(files)))
        assert quoted(names), behaviour
        assert set(quoted(names)) <= here, behaviour


def test_names_after_a_path_are_defined_there() -> None:
    named = [word.split("::") for word in quoted(PROSE) if "::" in word]
    assert named
    assert not [f"{path}::{name}" for path, name in named if name not in defined(REPOSITORY / path)]


@pytest.mark.parametrize("title", SECTIONS)
def test_steps_name_what_stands_in_their_files(title: str) -> None:
    """Every quoted word of a list of steps occurs in a file that the list names, or is a folder."""
    section = SECTIONS[title]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in paths(section) if path.is_file())
    words = {word.rpartition(".")[2] for word in quoted(section) if re.fullmatch(r"\.?[\w.]+", word)} - ELSEWHERE.get(
        title, set()
    )
    folders = {path.name for path in (REPOSITORY / "r2mae_bio").iterdir()}
    files = {"toml", "md"}  # of the top level
    assert not [word for word in words - folders - files if not re.search(rf"\b{word}\b", sources)]


def test_links_resolve() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
        for line in TEXT.splitlines()
        if line[:1] == "#"
    }
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        file, _, heading = link.partition("#")
        assert (PAGE.parent / file).exists(), link
        assert not heading or file or heading in headings, link


def test_prose_is_narrow() -> None:
    wide = [line for line in TEXT.splitlines() if len(line) > 100 and not line.startswith("|")]
    assert not wide
