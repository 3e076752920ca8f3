"""Pages of the site: their code runs, their messages are those of the package, their links lead
somewhere, and every page and every public name is in a table of contents.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import r2mae_bio as rb
from tutorials.fast import shorten

from ..test_readme import python_blocks, write_genome

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.parts)
OTHERS = (
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "data_registry/README.md",
)
ALL = [*PAGES, *(REPOSITORY / name for name in OTHERS), *sorted((REPOSITORY / "benchmarks" / "results").glob("*.md"))]
RUN = [DOCS / "index.md", DOCS / "get_started.md", *sorted((DOCS / "howto").glob("[!i]*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def page_id(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def write_cells() -> None:
    """Files of cells that pages name: a reference with labels, a query, a panel, two studies."""
    cells = rb.datasets.pbmc68k()
    cells.obs["cell_type"] = cells.obs["bulk_labels"]
    cells.write_h5ad("cells.h5ad")
    cells[200:].copy().write_h5ad("reference.h5ad")
    cells[:200, ::-1][:, ::2].copy().write_h5ad("query.h5ad")
    cells[:200, ::5].copy().write_h5ad("panel.h5ad")
    cells[:300].copy().write_h5ad("study_1.h5ad")
    cells[300:, ::3].copy().write_h5ad("study_2.h5ad")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write to, and caches that are thrown away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "caches" / project)
    return tmp_path


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("page", RUN, ids=page_id)
@pytest.mark.filterwarnings("ignore")  # training is cut short, and says so; what warns of a call is tested elsewhere
def test_python_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    shorten(monkeypatch.setattr)
    write_cells()
    write_genome()
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = list(python_blocks(page))
    assert blocks
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)  # our own text
    plt.close("all")


@pytest.mark.parametrize("page", [path for path in PAGES if "```pycon" in path.read_text(encoding="utf-8")], ids=page_id)
def test_sessions_of_a_page_are_what_python_shows(page: Path, folder: Path) -> None:
    found = re.findall(r"^```pycon\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(found), {}, page.name, str(page), 0)
    assert test.examples
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


# ---------------------------------------------------------------- links and tables of contents


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


@cache
def headings(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", ALL, ids=page_id)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in links(page):
        file, _, heading = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_every_page_and_every_result_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in PAGES:
        for block in re.findall(
            r"^```\{(?:toctree|literalinclude)\} ?(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        ):
            names = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {(page.parent / name).resolve() for name in names}
    wanted = {path.with_suffix("") for path in ALL if path != DOCS / "index.md"}
    wanted |= {path.with_suffix("") for path in (REPOSITORY / "tutorials").glob("*.ipynb")}
    wanted |= set((REPOSITORY / "benchmarks" / "results").glob("*.txt"))
    wanted |= set((DOCS / "genome_wide_files").iterdir())
    assert sorted(wanted - listed) == []
    assert sorted(path for path in listed - wanted) == []


@pytest.mark.parametrize("door", [*(name for name in rb.__all__ if not name.startswith("__"))])
def test_the_reference_lists_every_public_name(door: str) -> None:
    text = (DOCS / "api" / f"{door}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"currentmodule:: (\S+)\n\n\.\. autosummary::\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for module, block in blocks:
        names = [line.strip() for line in block.splitlines() if line.strip() and not line.strip().startswith(":")]
        assert names == list(importlib.import_module(module).__all__), module
    named = {module for module, _ in blocks}
    parts = importlib.import_module("r2mae_bio.integrations").__all__
    assert named == ({f"r2mae_bio.integrations.{part}" for part in parts} if door == "integrations" else {f"r2mae_bio.{door}"})


# ---------------------------------------------------------------- what machines read


def test_llms_txt_names_pages_that_are_there() -> None:
    text = (DOCS / "_extra" / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# r2mae_bio\n\n> ")
    named = re.findall(r"\]\(([^)]+)\.html\)", text)
    assert len(named) > 15
    missing = [name for name in named if not any((REPOSITORY / f"{name}{end}").exists() for end in (".md", ".ipynb"))]
    assert not missing


def test_inventories_are_read_by_sphinx() -> None:
    inventory = pytest.importorskip("sphinx.util.inventory")
    spec = importlib.util.spec_from_file_location("inventories", DOCS / "inventories.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listed = yaml.safe_load(module.LISTED.read_text(encoding="utf-8"))
    for project, entry in listed.items():
        read = inventory.InventoryFile.loads(module.inventory(project, entry["objects"]), uri=entry["url"])
        names = {name for pages in entry["objects"].values() for found in pages.values() for name in found}
        assert {name for kind in read.data.values() for name in kind} == names
