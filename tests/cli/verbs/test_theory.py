"""``r2mae theory``: what Python finds, as lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import pytest

from r2mae_bio import tl

if TYPE_CHECKING:
    from pathlib import Path

ARGS = ["theory", "cells.h5ad", "--layer", "counts", "--n-bootstrap", "0", "--shrinkage", "none"]


def test_numbers_are_those_of_python(folder: Path, printed: Any, r2mae: Any) -> None:
    cells = anndata.read_h5ad("cells.h5ad")
    advice = tl.recommend_mask_ratio(cells, layer="counts", n_bootstrap=0, shrinkage=None)
    tl.spectrum(cells, layer="counts", shrinkage=None)
    said = printed(*ARGS)
    assert said["law"] == list(advice.law)
    assert said["spectrum"]["values"] == pytest.approx(cells.uns["r2mae"]["spectrum"]["values"])
    lines = r2mae(*ARGS)[1].splitlines()
    assert lines[-1] == advice.verdict
    assert any(line.split() == ["best", "fixed", "ratio,", "all", "genes", f"{advice.full.curve.best:.4g}"] for line in lines)
