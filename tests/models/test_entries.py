"""The list of models: complete, checked, downloaded once."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from r2mae_bio import models
from r2mae_bio._errors import DataError
from r2mae_bio._registry._shipped import registry_folder
from r2mae_bio.models import _entries

from ..file_server import files_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from r2mae_bio.model import GeneMAE

FILES = ["model.json", "model.safetensors"]


def entry(**changes: Any) -> dict[str, Any]:
    text = ("kind", "model", "trained_on", "licence", "source", "citation", "command", "card")
    return {**dict.fromkeys(text, "toy"), "url": None, "sha256": None, "bytes": None, **changes}


@pytest.fixture
def served(tmp_path: Path, gene_model: GeneMAE, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registry of one model, which lies on a server."""
    gene_model.save(tmp_path / "served" / "toy")
    hashes = {name: hashlib.sha256((tmp_path / "served" / "toy" / name).read_bytes()).hexdigest() for name in FILES}
    with serving(files_of(tmp_path / "served")) as address:
        known = {
            "toy": entry(kind="remote", url=f"{address}/toy/", sha256=hashes),
            "changed": entry(kind="remote", url=f"{address}/toy", sha256={**hashes, "model.safetensors": "0" * 64}),
            "gone": entry(kind="remote", url=f"{address}/none", sha256=hashes),
            "recipe": entry(kind="recipe", command="python -m toy"),
            "damaged": entry(kind="bundled", sha256=hashes),
        }
        (tmp_path / "models.yaml").write_text(yaml.safe_dump(known))
        monkeypatch.setattr(_entries, "registry_folder", lambda: tmp_path)
        yield tmp_path


def test_every_model_has_terms_a_card_and_a_way_to_it() -> None:
    known = models.registry()
    assert {"blood-small", "pancreas-small", "ecoli-dna"} <= set(known)
    for name, one in known.items():
        assert one.kind in ("bundled", "remote", "recipe")
        assert one.licence
        assert "none stated" not in one.licence.lower()
        assert (one.kind == "recipe") == (one.sha256 is None) == (one.bytes is None)
        assert (one.kind == "remote") == (one.url is not None)
        card = (registry_folder() / one.card).read_text(encoding="utf-8")
        assert card.startswith(f"# {name}\n")
        assert one.licence in card
        assert one.command in card
    with pytest.raises(TypeError):
        known["x"] = None  # type: ignore[index]


def test_the_bundled_one_is_whole_and_small() -> None:
    one = models.registry()["blood-small"]
    folder = models.path("blood-small")
    assert one.bytes is not None
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == dict(one.bytes)
    assert sum(one.bytes.values()) < 6e6


def test_a_model_is_downloaded_once_and_then_needs_no_network(
    served: Path, gene_model: GeneMAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = served / "cache"
    model = models.load("toy", cache_dir=cache)
    assert model.checksum() == gene_model.checksum()  # type: ignore[union-attr]
    assert sorted(path.name for path in (cache / "toy").iterdir()) == FILES
    monkeypatch.setattr("requests.get", None)  # a second download would fail
    assert models.path("toy", cache_dir=str(cache)) == cache / "toy"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("changed", "What http.*model.safetensors delivered is not the expected file"),
        ("gone", "could not be downloaded into .*gone: .* Put the file there by hand as 'model.json'"),
        ("recipe", re.escape("recipe is a recipe: nobody has published its weights. Train it in a checkout") + ".*python -m toy"),
        ("damaged", "model.json of the installed package is damaged"),
        ("absent", "no model 'absent'; ready-made are changed, damaged"),
    ],
)
def test_what_cannot_be_had_is_told(served: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        models.path(name, cache_dir=served / "cache")


def test_an_incomplete_entry_is_refused(served: Path) -> None:
    (served / "models.yaml").write_text("x: {kind: remote}")
    with pytest.raises(DataError, match=r"Entry 'x' .* has the fields \['kind'\]"):
        models.registry()
