"""docs/from_scvi_tools.md: what it says to write is there, and what is missing is answered."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from r2mae_bio import tl
from r2mae_bio._errors import ConfigError
from r2mae_bio.config._names import MISSING_VERBS
from r2mae_bio.model import GeneMAE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_scvi_tools.md"
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def found(name: str):
    """What a name of the second column stands for."""
    if name.startswith("tl."):
        return getattr(tl, name.removeprefix("tl."))
    return GeneMAE if name == "GeneMAE" else getattr(GeneMAE, name.removeprefix("GeneMAE."))


@pytest.mark.parametrize(("theirs", "ours", "_"), ROWS, ids=[row[0] for row in ROWS])
def test_what_to_write_is_there(theirs, ours, _):
    name, _, arguments = ours.rstrip(")").partition("(")
    parameters = () if name == "history" else inspect.signature(found(name)).parameters
    named = re.findall(r"(\w+)=", arguments)
    assert set(named) <= set(parameters)
    assert callable(found(name)) or name == "history"
    method = theirs.partition("(")[0].rpartition(".")[2]
    assert hasattr(GeneMAE, method) or method in MISSING_VERBS or method in ("SCVI", "from_scvi_model")


def test_arguments_that_have_no_place_are_answered(tmp_path):
    for call, words in (
        (lambda: GeneMAE.setup_anndata(None, size_factor_key="n"), "the depth of a cell is estimated"),
        (lambda: GeneMAE.load(tmp_path, device="cuda"), r"call to_device\(\)"),
        (lambda: GeneMAE.save(None, tmp_path, save_anndata=True), "saved without data"),
        (lambda: GeneMAE.get_latent_representation(None, give_mean=True), "is not drawn"),
        (lambda: GeneMAE.get_normalized_expression(None, n_samples=3), "get_predictive_moments"),
    ):
        with pytest.raises(ConfigError, match=words):
            call()
