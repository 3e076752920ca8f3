"""``tl.embed``: slots written, round trips through files."""

from __future__ import annotations

import json
import warnings

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError

from ..toy_cells import SIZES, make_counted_cells


@pytest.fixture
def adata():
    return make_counted_cells()


@pytest.fixture
def model(adata):
    return rb.tl.pretrain(adata, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=2, progress_bar=False)


def test_embed_equals_the_method_and_survives_h5ad(adata, model, tmp_path):
    assert rb.tl.embed(adata, model) is None
    np.testing.assert_array_equal(adata.obsm["X_r2mae"], model.get_latent_representation(adata))
    assert adata.obsm["X_r2mae"].dtype == np.float32
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(back.obsm["X_r2mae"], adata.obsm["X_r2mae"])
    record = back.uns["r2mae"]
    assert record["embed"]["X_r2mae"]["seed"] == 2
    assert record["embed"]["X_r2mae"]["vocabulary"] == model.vocabulary.fingerprint()
    assert record["setup"]["layer"] == "counts"
    rb.tl.embed(back, model, key_added="X_again")  # the setup read from the file is enough
    np.testing.assert_array_equal(back.obsm["X_again"], back.obsm["X_r2mae"])


def test_embed_from_a_folder_copy_and_view(adata, model, tmp_path):
    folder = model.save(tmp_path / "model")
    copied = rb.tl.embed(adata, folder, copy=True)
    assert "X_r2mae" not in adata.obsm
    view = adata[:10]
    rb.tl.embed(view, str(folder))
    np.testing.assert_allclose(view.obsm["X_r2mae"], copied.obsm["X_r2mae"][:10], atol=1e-5)
    assert "X_r2mae" not in adata.obsm


@pytest.fixture
def opened(adata, tmp_path):
    """The same cells as read from a file in place, and as read lazily."""
    for name in ("dask", "xarray"):
        pytest.importorskip(name, reason="anndata's read_lazy needs it")
    adata.X = adata.layers["counts"].copy()
    adata.obs["group"] = np.where(np.arange(50) % 2, "x", "y")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    yield {"backed": backed, "lazy": ad.experimental.read_lazy(tmp_path / "cells.h5ad")}
    backed.file.close()


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
@pytest.mark.parametrize("kind", ["backed", "lazy"])
@pytest.mark.parametrize("copy", [True, False])
def test_verbs_write_to_data_that_are_not_in_memory_and_to_views_of_them(adata, opened, model, kind, copy):
    whole, part = opened[kind], opened[kind][5:30]
    expected = model.get_latent_representation(adata)
    for cells, chosen in ((whole, slice(50)), (part, slice(5, 30))):
        answers = {
            "embed": rb.tl.embed(cells, model, copy=copy),
            "impute": rb.tl.impute(cells, model, n_masks=1, hide=0.5, copy=copy),
            "label": rb.tl.transfer_labels(cells, whole, labels_key="group", model=model, copy=copy),
        }
        embedded, imputed, labelled = (cells if answer is None else answer for answer in answers.values())
        np.testing.assert_allclose(embedded.obsm["X_r2mae"], expected[chosen], atol=1e-5)
        assert imputed.layers["r2mae_mean"].shape == (len(expected[chosen]), 20)
        assert set(np.asarray(labelled.obs["r2mae_label"])) <= {"x", "y"}
        assert ("X_r2mae" in cells.obsm) is not copy


def test_modalities_are_named_where_one_is_needed(adata, model):
    mudata = pytest.importorskip("mudata", reason="needs mudata")
    with warnings.catch_warnings():  # mudata 0.3 tells of 0.4
        warnings.simplefilter("ignore")
        both = mudata.MuData({"rna": adata})
    verbs = [
        lambda: rb.tl.embed(both, model),
        lambda: rb.tl.impute(both, model, copy=True),
        lambda: rb.tl.map_query(both, model),
        lambda: rb.tl.transfer_labels(adata, both, labels_key="type", model=model),
        lambda: rb.tl.attribute(both, model, groupby="type"),
        lambda: rb.tl.spectrum(both),
        lambda: rb.tl.pretrain(both),
        lambda: rb.pp.check_counts(both),
        lambda: rb.pp.align_genes(both, model),
        lambda: model.get_latent_representation(both),
        lambda: model.finetune(both, labels_key="type"),
        lambda: rb.model.GeneMAE(both),
    ]
    for verb in verbs:
        with pytest.raises(rb.errors.DataError, match=r"such as data\.mod\['rna'\]"):
            verb()
    rb.tl.embed(both.mod["rna"], model)
    assert "X_r2mae" in both["rna"].obsm


def test_a_failed_embedding_writes_nothing(adata, model):
    adata.layers["counts"].data[0] = -1
    before = json.dumps(adata.uns["r2mae"], default=str)
    with pytest.raises(rb._errors.NegativeCountsError):
        rb.tl.embed(adata, model)
    assert json.dumps(adata.uns["r2mae"], default=str) == before
    assert "X_r2mae" not in adata.obsm


VERBS = {
    "embed": lambda adata, model: rb.tl.embed(adata, model),
    "impute": lambda adata, model: rb.tl.impute(adata, model),
    "attribute": lambda adata, model: rb.tl.attribute(adata, model, groupby="group", n_cells=5),
    "method": lambda adata, model: model.get_latent_representation(adata),
    "depth": lambda adata, model: model.get_latent_library_size(adata),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_fails_once_it_reads_cells_writes_nothing(adata, model, verb, monkeypatch):
    """As where a disk fails between the check of a matrix and its use."""
    adata.obs["group"] = np.where(np.arange(50) % 2, "x", "y")
    before = json.dumps(adata.uns["r2mae"], default=str)

    def gone(self, index):
        raise rb.errors.DataError("the file is gone")

    with monkeypatch.context() as patch:
        patch.setattr("r2mae_bio.cells.read._cells.CellSource.rows", gone)
        with pytest.raises(rb.errors.DataError, match="gone"):
            VERBS[verb](adata, model)
    assert json.dumps(adata.uns["r2mae"], default=str) == before
    assert not [
        *adata.obsm,
        *adata.varm,
        *(name for name in adata.layers if name not in (None, "counts")),
    ]  # None is X, from anndata 0.13 on
    VERBS[verb](adata, model)
    assert "coverage" in adata.uns["r2mae"]


@pytest.mark.parametrize("key", ["X/r2mae", "", "..", 3])
def test_a_key_that_no_file_could_hold_is_refused(adata, model, key):
    before = adata.copy()
    verbs = (rb.tl.embed, rb.tl.map_query, rb.tl.impute, rb.tl.gene_embeddings)
    for verb in verbs:
        with pytest.raises(ConfigError, match="needed is a name without a slash"):
            verb(adata, model, key_added=key)
    with pytest.raises(ConfigError, match="needed is a name without a slash"):
        rb.tl.transfer_labels(adata, adata, labels_key="group", model=model, key_added=key)
    for verb in (rb.tl.spectrum, rb.tl.recommend_mask_ratio):
        with pytest.raises(ConfigError, match="needed is a name without a slash"):
            verb(adata, key_added=key)
    assert list(adata.obsm) == list(before.obsm)
    assert adata.uns.keys() == before.uns.keys()


@pytest.mark.parametrize("place", ["memory", "file"])
def test_cells_with_counts_in_unknown_genes_alone_are_told_of(adata, model, tmp_path, place):
    other = adata.copy()
    other.var_names = [f"X{i}" for i in range(adata.n_vars)]
    panel = adata[:, :6].copy()
    panel.layers["counts"] = sparse.csr_matrix(panel.layers["counts"].multiply(np.arange(50)[:, None] >= 8))
    n_empty = int((np.asarray(panel.layers["counts"].sum(1)).ravel() == 0).sum())
    query = ad.concat([panel, other], axis=1, merge="first")
    query.layers["counts"] = sparse.csr_matrix(query.layers["counts"])
    if place == "file":
        query.write_h5ad(tmp_path / "query.h5ad")
    with pytest.warns(
        UserWarning, match=f"^{n_empty} of 50 cells have no count in those of the genes measured that the model knows"
    ):
        rb.tl.embed(query if place == "memory" else tmp_path / "query.h5ad", model)
