"""An embedded data set at a glance: what is known is drawn, what is not is said."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, SetupError

from ..toy_cells import SIZES, make_cells


@pytest.fixture
def reference() -> Any:
    cells = make_cells(50)
    cells.layers["counts"] = cells.X.copy()
    return cells


@pytest.fixture
def model(reference: Any) -> Any:
    return rb.tl.pretrain(reference, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=1, progress_bar=False)


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_what_was_done_to_the_cells_is_drawn(model: Any, reference: Any) -> None:
    query = reference[:, ::2].copy()
    rb.tl.embed(query, model)
    rb.tl.transfer_labels(query, reference, labels_key="group", model=model, layer="counts")
    kept = set(query.obsm), set(query.uns), set(query.obs)
    axes = rb.pl.embedding_report(query, groupby="batch")
    assert axes.shape == (4,)
    umap, coverage, composition, confidence = axes
    assert sum(len(points.get_offsets()) for points in umap.collections) == query.n_obs
    shares = [bar.get_width() for bar in coverage.patches[:2]]
    assert shares[0] == pytest.approx(query.n_vars / reference.n_vars)
    counted = np.sum([bar.get_width() for bar in composition.patches])
    assert counted == query.n_obs
    assert sum(bar.get_height() for bar in confidence.patches[:20]) == query.n_obs
    assert (set(query.obsm), set(query.uns), set(query.obs)) == kept
    plt.close("all")


def test_what_is_not_known_is_said(reference: Any) -> None:
    reference.obsm["X_r2mae"] = np.random.default_rng(0).normal(size=(reference.n_obs, 3))
    axes = rb.pl.embedding_report(reference, n_cells=20)
    assert "20 of" in axes[0].get_title()
    said = " ".join(text.get_text() for ax in axes for text in ax.texts)
    for word in ("nobody noted it", "pass color=", "no labels were transferred"):
        assert word in said
    plt.close("all")


def test_no_embedding_is_refused(reference: Any) -> None:
    with pytest.raises(SetupError, match=r"\.obsm has no 'X_r2mae'; call r2mae_bio\.tl\.embed"):
        rb.pl.embedding_report(reference)
    reference.obsm["X_r2mae"] = np.zeros((reference.n_obs, 2))
    with pytest.raises(SetupError, match="There are 3 cells; at least 4 are needed"):
        rb.pl.embedding_report(reference[:3])


def test_what_cannot_be_drawn_is_refused_before_there_is_a_figure(reference: Any) -> None:
    before = plt.get_fignums()
    embedding = np.random.default_rng(0).normal(size=(reference.n_obs, 3))
    reference.obsm["X_r2mae"] = embedding
    for n_cells in (0, 3):
        with pytest.raises(ConfigError, match=f"n_cells is {n_cells}; needed is 4 or more"):
            rb.pl.embedding_report(reference, n_cells=n_cells)
    with pytest.raises(DataError, match="an AnnData is needed"):
        rb.pl.embedding_report("cells.h5ad")  # type: ignore[arg-type]
    reference.obsm["X_r2mae"] = np.where(embedding > 2, np.nan, embedding)
    with pytest.raises(DataError, match="values that are not finite"):
        rb.pl.embedding_report(reference)
    assert plt.get_fignums() == before
