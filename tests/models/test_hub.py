"""To the hub and back: a local folder, and a small hub on this machine."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from r2mae_bio import models
from r2mae_bio._errors import CorruptCheckpointError, DataError, UnsafeCheckpointError

from ..file_server import Quiet, serving

pytest.importorskip("huggingface_hub")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(Quiet):
    """What huggingface_hub asks of a hub when it commits small files and reads them back."""

    repos: dict[str, dict[str, bytes]]

    def do_HEAD(self) -> None:
        self._file(with_body=False)

    def do_GET(self) -> None:
        self._file(with_body=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            given = json.loads(body)
            name = "/".join(filter(None, (given.get("organization"), given["name"])))
            self.repos.setdefault(name, {})
            self._answer({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            name = re.fullmatch(r"/api/models/(.+)/commit/.*", self.path)[1]  # type: ignore[index]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repos[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            where = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
            self._answer({"commitUrl": where, "commitOid": COMMIT, "pullRequestUrl": None})
        else:  # validation of the card
            self._answer({"errors": [], "warnings": []})

    def _file(self, *, with_body: bool) -> None:
        found = re.fullmatch(r"/(.+)/resolve/[^/]+/(.+)", self.path)
        files = self.repos.get(found[1], {}) if found else {}
        content = files.get(found[2]) if found else None
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if files else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hash(content):x}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _answer(self, what: dict[str, Any]) -> None:
        content = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, bytes]]]:
    """The files of each repository of a hub, which huggingface_hub is told to use."""
    repos: dict[str, dict[str, bytes]] = {}
    with serving(type("ThisHub", (Hub,), {"repos": repos})) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield repos


def test_a_folder_holds_what_the_hub_keeps(tmp_path: Path, gene_model: Any, cells: Any) -> None:
    folder = models.save_pretrained(gene_model, tmp_path / "toy", licence="mit")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text()) == {"kind": "GeneMAE", "library": "r2mae_bio"}
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: r2mae_bio")
    read: Any = models.from_pretrained(folder)
    np.testing.assert_array_equal(read.get_latent_representation(cells), gene_model.get_latent_representation(cells))
    models.save_pretrained(read, folder, name="again")  # files of the same names are replaced
    assert "# again" in (folder / "README.md").read_text()


def test_to_the_hub_and_back(hub: dict[str, dict[str, bytes]], gene_model: Any, dna_model: Any, tmp_path: Path) -> None:
    for name, model in {"you/cells": gene_model, "you/dna": dna_model}.items():
        address = models.push_to_hub(model, name, token="hf_toy", licence="mit")
        assert COMMIT in address
        assert {"README.md", "config.json", "model.json", "model.safetensors"} <= set(hub[name])
        assert f'from_pretrained("{name}")' in hub[name]["README.md"].decode()
        read: Any = models.from_pretrained(name, cache_dir=tmp_path / name)
        assert type(read) is type(model)
        assert read.checksum() == model.checksum()
    hub.clear()  # what was downloaded once needs no hub
    again: Any = models.from_pretrained("you/cells", cache_dir=tmp_path / "you/cells", local_files_only=True)
    assert again.checksum() == gene_model.checksum()


def test_what_is_wrong_there_is_refused(hub: dict[str, dict[str, bytes]], gene_model: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="you/none is no folder, and could not be read from the hub: "):
        models.from_pretrained("you/none")
    with pytest.raises(DataError, match="could not be read from the hub"):
        models.from_pretrained("not a name")
    models.push_to_hub(gene_model, "you/cells", token="hf_toy")
    hub["you/damaged"] = {**hub["you/cells"], "model.json": hub["you/cells"]["model.json"].replace(b'"seed": 0', b'"seed": 1')}
    hub["you/pickle"] = {**hub["you/cells"], "model.safetensors": b"PK\x03\x04 a pickle"}
    with pytest.raises(CorruptCheckpointError, match="does not match its checksum"):
        models.from_pretrained("you/damaged", cache_dir=tmp_path / "1")
    with pytest.raises(UnsafeCheckpointError, match="is a pickle"):
        models.from_pretrained("you/pickle", cache_dir=tmp_path / "2")


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch, gene_model: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="you/cells could not be written on the hub: "):
        models.push_to_hub(gene_model, "you/cells", token="hf_toy")
