"""docs/from_scvi_tools.md: every call of the second column works, and every one of the first works
as well or is answered by what to write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from r2mae_bio import tl
from r2mae_bio._errors import ConfigError
from r2mae_bio.config._names import MISSING_VERBS
from r2mae_bio.model import GeneMAE

from ..toy_cells import SIZES, make_cells

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_scvi_tools.md"
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
QUICK = {"max_epochs": 1, "progress_bar": False}

pytestmark = pytest.mark.usefixtures("one_thread")


class Small(GeneMAE):
    """A model that trains in a second; otherwise as users have it."""

    def __init__(self, adata: Any, **given: Any) -> None:
        super().__init__(adata, **{**SIZES, **given})

    def train(self, *args: Any, **given: Any) -> None:
        super().train(*args, **{**({} if args else {"max_epochs": 1}), "progress_bar": False, **given})


@pytest.fixture(scope="module")
def trained() -> Small:
    adata = make_cells()
    adata.layers["counts"] = adata.X.copy()
    Small.setup_anndata(adata, "counts", "batch", "group")
    model = Small(adata)
    model.train()
    return model


@pytest.fixture
def names(trained: Small, tmp_path: Path) -> dict[str, Any]:
    """What the names on the page stand for."""
    model = Small.load(trained.save(tmp_path / "saved"), trained._adata)
    keys = {"layer": "counts", "batch_key": "batch", "labels_key": "group"}
    data = {"adata": model._adata, "query": make_cells(seed=1), "path": tmp_path / "model", **keys}
    if not (tmp_path / "model").exists():
        model.save(tmp_path / "model")
    methods = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    return {**methods, **data, "GeneMAE": Small, "SCVI": Small, "SCANVI": Small, "tl": tl, "model": model}


class _Names(dict):  # type: ignore[type-arg]
    """Methods that only scvi-tools has are asked of the model, which answers."""

    def __missing__(self, name: str) -> Any:
        return getattr(self["model"], name)


def run(code: str, names: dict[str, Any]) -> Any:
    return eval(code, {"__builtins__": {}}, _Names(names))


@pytest.mark.parametrize(("theirs", "ours", "_"), ROWS, ids=[row[0] for row in ROWS])
def test_what_to_write_works(names: dict[str, Any], theirs: str, ours: str, _: str, tmp_path: Path) -> None:
    names["path"] = tmp_path / ("new" if ours.startswith("save") else "model")
    run(ours, names)
    if theirs == ours or theirs.replace("SCVI", "GeneMAE") == ours:
        return
    with pytest.raises((ConfigError, AttributeError)) as error:
        run(theirs, names)
    method = theirs.partition("(")[0].rpartition(".")[2]
    told = MISSING_VERBS.get(method, f"{'GeneMAE' if method == 'SCVI' else method}() has no")
    assert told in str(error.value) or "decides itself: every epoch is validated" in str(error.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("finetune(adata, max_epochs=1)", r"write config=.*\(n_steps=\.\.\.\)"),
        ("finetune(adata, labels_kye='group')", "Did you mean 'labels_key'"),
        ("finetune(adata, lable='group')", "Known are .*labels_key"),
        ("map_query(query, batch_kye='batch')", "Did you mean 'batch_key'"),
        ("get_latent_representation(batch_sise=8)", "Did you mean 'batch_size'"),
        ("tl.embed(adata, model, key_addd='x')", "Did you mean 'key_added'"),
        ("tl.impute(adata, model, n_mask=8)", "Did you mean 'n_masks'"),
        ("tl.transfer_labels(query, adata, label_key='group', model=model)", "Did you mean 'labels_key'"),
        ("tl.pretrain(adata, seed=0)", r"pretrain\(\) has no 'seed': write model_kwargs=\{\"seed\": \.\.\.\}"),
        ("tl.pretrain(adata, layr='counts')", r"pretrain\(\) has no 'layr'. Did you mean 'layer'"),
        ("tl.pretrain(adata, max_epoch=1)", r"pretrain\(\) has no 'max_epoch'. Did you mean 'max_epochs'"),
        ("tl.pretrain(adata, patience=1)", 'write train_kwargs={"patience": ...}'),
    ],
)
def test_what_is_misspelt_is_answered(names: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises((ConfigError, TypeError), match=words):
        run(code, names)


def test_the_answers_name_what_there_is(trained: Small) -> None:
    assert "validation_loss" in trained.history
    named = ("tl.attribute", "get_predictive_moments", "get_gene_embeddings", "map_query", "finetune", "tl.transfer_labels")
    for name in named:
        assert any(name in answer for answer in MISSING_VERBS.values())
        assert callable(getattr(tl if name.startswith("tl.") else GeneMAE, name.removeprefix("tl.")))
