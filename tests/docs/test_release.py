"""The release script, and the files that others read to list, cite and build the package."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from r2mae_bio import __version__

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = ("CITATION.cff", "CHANGELOG.md", "meta.yaml", "pyproject.toml", "r2mae_bio/_version.py")


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", REPOSITORY / ".ci" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def write_addresses(checkout: Path, **addresses: str) -> None:
    """These in the place of those that are published."""
    project = checkout / "pyproject.toml"
    head, _, rest = project.read_text(encoding="utf-8").partition("[project.urls]\n")
    urls = [f'{name} = "{address}"\n' for name, address in addresses.items()]
    tail = rest[rest.index("\n[") :]
    project.write_text("".join([head, "[project.urls]\n", *urls, tail]), encoding="utf-8")


def test_the_version_stands_in_one_place_and_is_cited(release: ModuleType) -> None:
    assert release.read_version(REPOSITORY) == __version__
    assert not [line for line in release.problems(REPOSITORY, __version__) if line.startswith("CITATION")]
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").partition("[project.urls]")[0]
    assert not re.search(r"^version *=", project, flags=re.MULTILINE)


def test_a_version_that_is_not_told_everywhere_is_found(release: ModuleType, checkout: Path) -> None:
    (checkout / "r2mae_bio" / "_version.py").write_text('__version__ = "7.1.0"\n')
    assert release.read_version(checkout) == "7.1.0"
    cited, changed = release.problems(checkout, "7.1.0")
    assert cited.startswith(f"CITATION.cff says {__version__}; write 7.1.0")
    assert "no heading ## [7.1.0] - DATE" in changed
    for name, old, new in (
        ("CITATION.cff", f"version: {__version__}", "version: 7.1.0"),
        ("CHANGELOG.md", "## [Unreleased]", "## [7.1.0] - 2027-01-31"),
    ):
        text = (checkout / name).read_text(encoding="utf-8")
        assert old in text
        (checkout / name).write_text(text.replace(old, new), encoding="utf-8")
    assert release.problems(checkout, "7.1.0") == []
    assert "no version of the form" in release.problems(checkout, "7.1")[-1]


def test_the_entry_for_scverse_has_what_its_schema_requires(release: ModuleType, checkout: Path) -> None:
    write_addresses(checkout, Homepage="https://code.example/r2mae_bio", Documentation="https://docs.example/")
    entry = yaml.safe_load(release.meta(checkout, "7.1.0", ["somebody"]))
    required = {"name", "description", "project_home", "documentation_home", "install", "license", "tags", "version", "authors"}
    assert required | {"tutorials_home", "test_command"} == set(entry)
    assert entry["project_home"] == "https://code.example/r2mae_bio"
    assert entry["tutorials_home"] == "https://docs.example/docs/tutorials.html"
    assert (entry["version"], entry["authors"]) == ("v7.1.0", ["somebody"])
    assert len(set(entry["tags"])) == len(entry["tags"])


def test_addresses_that_nobody_has_published_are_asked_for(release: ModuleType, checkout: Path) -> None:
    write_addresses(checkout)
    with pytest.raises(SystemExit, match="no Homepage and no Documentation under .project.urls."):
        release.meta(checkout, "7.1.0", ["somebody"])


def test_templates_of_issues_are_forms_that_ask_for_versions() -> None:
    folder = REPOSITORY / ".github" / "ISSUE_TEMPLATE"
    forms = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yml") if path.stem != "config"
    }
    assert {"bug", "idea"} == set(forms)
    for form in forms.values():
        assert {"name", "description", "body"} <= set(form)
        assert len({part["id"] for part in form["body"]}) == len(form["body"])
    assert "session_info2" in forms["bug"]["body"][-1]["attributes"]["description"]
    assert forms["bug"]["body"][-1]["validations"]["required"]


def test_the_paper_is_cited() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = cited["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Dong", "Wang", "Kluger"]
    assert paper["identifiers"][0]["value"] == "arXiv:2509.21650"
