"""Several panels in one data set: a gene that a cell's panel lacks is hidden, never zero."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from pytorch_lightning.callbacks import Callback
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError, DataError, GeneCoverageError, NonFiniteError, SetupError
from r2mae_bio.model import GeneMAE

from .conftest import QUICK, SIZES, make_cells

SETTINGS = {"max_epochs": 3, "batch_size": 16, "progress_bar": False}
SOME = [f"G{i}" for i in (7, 2, 11, 29, 4, 5, 20, 13, 14, 0, 25, 26, 17, 18)]


def parts(n=60):
    cells = make_cells(2 * n, seed=4)
    return {"whole": cells[:n].copy(), "panel": cells[n:, SOME].copy()}


def join(some, form=sparse.csr_matrix, fill=0.0):
    """What ``anndata.concat`` makes of them, cells in another order."""
    joined = ad.concat(some, join="outer", label="study")
    joined.X = form(np.where(padding(joined), fill, joined.X.toarray()).astype(np.float32))
    return joined[np.random.default_rng(1).permutation(joined.n_obs)].copy()


def panels(joined):
    return {"whole": list(joined.var_names), "panel": SOME}


def told(joined):
    GeneMAE.setup_anndata(joined, measured=panels(joined), panel_key="study")
    return joined


def train(adata, **settings):
    model = GeneMAE(adata, seed=2, **SIZES)
    model.train(**{**SETTINGS, **settings})
    return model


def padding(joined):
    return np.outer(joined.obs["study"] == "panel", ~joined.var_names.isin(SOME))


def with_noise(joined):
    """The same data with counts of another world where nothing was measured."""
    noisy = joined.copy()
    counts = joined.X.toarray()
    noise = np.random.default_rng(7).poisson(50, counts.shape)
    noisy.X = sparse.csr_matrix(np.where(padding(joined), noise, counts).astype(np.float32))
    return noisy


class StopError(Exception):
    """A run was stopped."""


class StopAfter(Callback):
    """Stops a run after some batches."""

    def __init__(self, n_batches):
        self.left = n_batches

    def on_train_batch_end(self, *_args):
        self.left -= 1
        if not self.left:
            raise StopError


@pytest.fixture(scope="module")
def joined():
    return told(join(parts()))


@pytest.fixture(scope="module")
def model(joined):
    return train(joined)


# ---------------------------------------------------------------- training


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoder": "mlp"},
        {"start": "random"},
        {"gene_likelihood": "zinb"},
        {"use_observed_lib_size": True},
        {"mask_ratio": 0.5},
    ],
    ids=lambda options: next(iter(options), "transformer"),
)
def test_training_does_not_read_what_was_not_measured(joined, options):
    made = []
    for data in (joined.copy(), with_noise(joined)):
        model = GeneMAE(data, seed=2, **SIZES, **options)
        model.train(**SETTINGS)
        made.append(model)
    assert made[0].checksum() == made[1].checksum()
    assert made[0].record.data_fingerprint == made[1].record.data_fingerprint
    assert made[0].vocabulary == made[1].vocabulary
    pd.testing.assert_frame_equal(made[0].history.filter(like="loss"), made[1].history.filter(like="loss"))


def test_zeros_that_count_as_measured_give_another_model(joined, model):
    untold = join(parts())
    GeneMAE.setup_anndata(untold)
    assert train(untold).checksum() != model.checksum()


def test_log_normalised_values_are_trained_on_likewise():
    checksums = []
    for change in (lambda joined: joined, with_noise):
        joined = change(join(parts()))
        joined.X = joined.X.log1p()
        GeneMAE.setup_anndata(joined, gene_likelihood="normal", measured=panels(joined), panel_key="study")
        checksums.append(train(joined).checksum())
    assert checksums[0] == checksums[1]


def test_blanks_are_no_fault_where_nothing_was_measured(joined, model):
    blank = join(parts(), form=np.asarray, fill=np.nan)
    assert np.array_equal(np.isnan(blank.X), padding(blank))
    with pytest.raises(NonFiniteError, match="pp.measured_by_batch"):
        GeneMAE.setup_anndata(blank)
    assert "r2mae" not in blank.uns
    assert train(told(blank)).checksum() == model.checksum()


def test_cells_of_batches_that_say_the_same_are_one_panel(joined, model):
    finer = joined.copy()
    finer.obs["study"] = finer.obs["study"].astype(str) + np.where(np.arange(finer.n_obs) % 2, "/1", "/2")
    table = {f"{name}/{number}": genes for name, genes in panels(joined).items() for number in (1, 2)}
    GeneMAE.setup_anndata(finer, measured=table, panel_key="study")
    assert train(finer).checksum() == model.checksum()


def test_a_table_of_true_changes_nothing():
    cells = make_cells()
    GeneMAE.setup_anndata(cells, batch_key="batch")
    plain = train(cells)
    GeneMAE.setup_anndata(cells, batch_key="batch", measured=pd.DataFrame(True, index=cells.var_names, columns=["a", "b"]))
    assert train(cells).checksum() == plain.checksum()


def test_genes_that_no_cell_of_a_part_measured_are_those_of_a_smaller_part(joined):
    """A part of one panel is read as if its columns were missing."""
    part = joined[joined.obs["study"] == "panel"].copy()
    model = train(part)
    table = model._training_table()
    assert table.source.panels is None
    assert set(np.array(model.vocabulary.names)[table.source.measured]) == set(SOME)


def test_a_run_resumes_on_data_from_a_file(joined, model, tmp_path):
    joined.write_h5ad(tmp_path / "cells.h5ad")
    half = GeneMAE(joined, seed=2, **SIZES)

    with pytest.raises(StopError):
        half.train(**SETTINGS, checkpoint_dir=tmp_path / "run", checkpoint_every_n_steps=2, callbacks=[StopAfter(9)])
    again = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    other = again.to_memory()
    resumed = GeneMAE(again, seed=2, **SIZES)
    resumed.train(**SETTINGS, checkpoint_dir=tmp_path / "run", resume_from=tmp_path / "run")
    again.file.close()
    assert resumed.checksum() == model.checksum()
    other.varm["r2mae_measured"][other.var_names.get_loc("G1")] = True
    with pytest.raises(rb.errors.CheckpointError):
        GeneMAE(other, seed=2, **SIZES).train(**SETTINGS, resume_from=tmp_path / "run")


# ---------------------------------------------------------------- reading


def _backed(joined, folder):
    joined.write_h5ad(folder / "cells.h5ad")
    return ad.read_h5ad(folder / "cells.h5ad", backed="r")


def _permuted(joined, _):
    return joined[::-1, np.random.default_rng(3).permutation(joined.n_vars)]


def _lazy(joined, folder):
    for name in ("dask", "xarray"):
        pytest.importorskip(name, reason="anndata's read_lazy needs it")
    joined.write_h5ad(folder / "cells.h5ad")
    return ad.experimental.read_lazy(folder / "cells.h5ad")


FORMS = {
    "csr": lambda joined, _: joined,
    "noise": lambda joined, _: with_noise(joined),
    "dense": lambda joined, _: ad.AnnData(joined.X.toarray(), joined.obs, joined.var, joined.uns, varm=joined.varm),
    "csc": lambda joined, _: ad.AnnData(joined.X.tocsc(), joined.obs, joined.var, joined.uns, varm=joined.varm),
    "backed": _backed,
    "lazy": _lazy,
    "permuted view": _permuted,
}


@pytest.mark.parametrize("form", FORMS)
def test_cells_are_embedded_as_in_their_own_smaller_data(joined, model, form, tmp_path):
    data = FORMS[form](joined, tmp_path)
    latent = model.get_latent_representation(data)
    names = np.array(data.obs_names)
    for part in parts().values():
        alone = model.get_latent_representation(part)
        np.testing.assert_allclose(latent[pd.Index(names).get_indexer(part.obs_names)], alone, rtol=0, atol=1e-5)
    if data.isbacked:
        data.file.close()


def test_every_reading_is_that_of_the_smaller_data(joined, model):
    model = _copy(model, joined)
    model.calibrate_dispersion(joined, n_masks=2)
    readings = {
        "embedding": lambda data: model.get_latent_representation(data),
        "depth": lambda data: model.get_latent_library_size(data)[:, None],
        "moments": lambda data: np.stack(model.get_predictive_moments(data), 1).reshape(data.n_obs, -1),
        "bare moments": lambda data: model.get_predictive_moments(data, n_masks=0)[0],
        "expression": lambda data: model.get_normalized_expression(data, n_masks=4, return_numpy=True),
    }
    for name, read in readings.items():
        together = pd.DataFrame(read(joined), index=joined.obs_names)
        for part in parts().values():
            np.testing.assert_allclose(together.loc[part.obs_names], read(part), rtol=1e-4, atol=1e-5, err_msg=name)


def _copy(model, adata):
    copy = GeneMAE(adata, seed=2, **SIZES)
    copy.initialize()
    copy.network.load_state_dict(model.network.state_dict())
    return copy


def test_calibration_reads_no_noise(joined, model):
    fitted = []
    for data in (joined, with_noise(joined)):
        copy = _copy(model, joined)
        copy.calibrate_dispersion(data, n_masks=2)
        fitted.append(copy.checksum())
    assert fitted[0] == fitted[1] != model.checksum()


def test_a_loaded_model_reads_the_data_alike(joined, model, tmp_path):
    model.save(tmp_path / "model")
    joined.write_h5ad(tmp_path / "cells.h5ad")
    data = ad.read_h5ad(tmp_path / "cells.h5ad")
    loaded = GeneMAE.load(tmp_path / "model", data)
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    rb.tl.embed(data, tmp_path / "model")
    np.testing.assert_array_equal(data.obsm["X_r2mae"], model.get_latent_representation(joined))
    loaded.train(**SETTINGS)  # goes on with the same genes hidden
    assert loaded._training_table().source.panels is not None


def test_indices_choose_cells_with_their_panels(joined, model):
    cells = np.array([5, 90, 5, 33, 60])
    everyone = model.get_latent_representation(joined)
    np.testing.assert_allclose(model.get_latent_representation(joined, cells), everyone[cells], rtol=0, atol=1e-5)


def test_a_classifier_learns_and_reads_by_panels(joined, model):
    tuned = [model.finetune(data, labels_key="group", config=QUICK, progress_bar=False) for data in (joined, with_noise(joined))]
    together = tuned[0].predict_proba(joined)
    pd.testing.assert_frame_equal(tuned[1].predict_proba(with_noise(joined)), together)
    for part in parts().values():
        np.testing.assert_allclose(together.loc[part.obs_names], tuned[0].predict_proba(part), atol=1e-5)


def test_a_query_is_mapped_and_corrected_by_panels():
    joined = join(parts())
    GeneMAE.setup_anndata(joined, batch_key="study", measured=panels(joined))
    model = train(joined)
    assert model.batches == ["panel", "whole"]
    mapped = [_copy_of_batches(model, joined).map_query(query, batch_key="new") for query in _queries(joined)]
    np.testing.assert_array_equal(mapped[0], mapped[1])
    latent = pd.DataFrame(model.get_latent_representation(), index=joined.obs_names)
    for name, part in parts().items():
        part.obs["study"] = name
        np.testing.assert_allclose(latent.loc[part.obs_names], model.get_latent_representation(part), atol=1e-5)


def _copy_of_batches(model, adata):
    copy = _copy(model, adata)
    copy.network.batch_effects, copy.record.batches = model.network.batch_effects, model.record.batches
    return copy


def _queries(joined):
    for query in (joined.copy(), with_noise(joined)):
        query.obs["new"] = "q" + query.obs["study"].astype(str)
        yield query


def test_labels_are_transferred_by_the_genes_of_all_cells(joined, model):
    query = make_cells(40, seed=9)
    answers = []
    for reference in (joined, with_noise(joined), joined[:, SOME].copy()):
        copy = query.copy()
        rb.tl.transfer_labels(copy, reference, labels_key="group", model=model)
        answers.append(copy)
    np.testing.assert_array_equal(*(a.obsm["r2mae_label_probabilities"] for a in answers[:2]))
    np.testing.assert_allclose(*(a.obsm["r2mae_label_probabilities"] for a in answers[1:]), atol=1e-4)
    record = answers[0].uns["r2mae"]["transfer_labels"]["r2mae_label"]
    assert record["n_genes_shared"] == record["n_genes_reference"] == len(SOME)


def test_attributions_and_imputed_layers_read_no_noise(joined, model):
    made = []
    for data in (joined.copy(), with_noise(joined)):
        rb.tl.attribute(data, model, groupby="group")
        rb.tl.impute(data, model, n_masks=4)
        made.append(data)
    np.testing.assert_array_equal(*(data.varm["r2mae_attribution"] for data in made))
    np.testing.assert_array_equal(*(data.layers["r2mae_sd"] for data in made))
    assert np.isfinite(made[0].layers["r2mae_mean"]).all()


def test_aligned_data_keep_their_panels(joined, model):
    reference = make_cells(10, n_genes=35)[:, ::-1].copy()
    aligned = rb.pp.align_genes(with_noise(joined), reference)
    assert aligned.varm["r2mae_measured"].shape == (35, 2)
    np.testing.assert_allclose(
        model.get_latent_representation(aligned), model.get_latent_representation(joined), rtol=0, atol=1e-5
    )


def test_the_theory_sees_the_genes_of_all_cells(joined):
    alone = join(parts())[:, SOME].copy()
    whole = joined.copy()
    for data in (alone, whole):
        rb.tl.spectrum(data)
    np.testing.assert_allclose(whole.uns["r2mae"]["spectrum"]["values"], alone.uns["r2mae"]["spectrum"]["values"])
    assert set(whole.var_names[whole.var["r2mae_spectrum"]]) == set(alone.var_names[alone.var["r2mae_spectrum"]])
    first, second = (rb.tl.recommend_mask_ratio(data, n_bootstrap=0) for data in (alone, whole))
    assert first.law == second.law
    assert (
        GeneMAE(joined.copy(), mask_ratio="auto", **SIZES).record.law
        == GeneMAE(with_noise(joined), mask_ratio="auto", **SIZES).record.law
    )


# ---------------------------------------------------------------- saying so


def test_a_frame_a_key_and_genes_by_panel_say_the_same(joined):
    frame = pd.DataFrame({name: joined.var_names.isin(genes) for name, genes in panels(joined).items()}, index=joined.var_names)
    for measured in (frame, frame[::-1], frame.astype("boolean"), "mine"):
        data = join(parts())
        data.varm["mine"] = frame
        GeneMAE.setup_anndata(data, measured=measured, panel_key="study")
        np.testing.assert_array_equal(data.varm["r2mae_measured"], joined.varm["r2mae_measured"])
        assert data.uns["r2mae"]["measured"]["obs_key"] == "study"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"measured": {"whole": SOME}}, ConfigError, "panel_key= or batch_key="),
        ({"panel_key": "study"}, ConfigError, "measured is None"),
        ({"measured": 3, "panel_key": "study"}, ConfigError, "measured is a int; needed is a data frame"),
        ({"measured": "absent", "panel_key": "study"}, SetupError, r"no adata.varm\['absent'\]"),
        ({"measured": "array", "panel_key": "study"}, DataError, "does not name its columns"),
        ({"measured": {"whole": SOME}, "panel_key": "absent"}, SetupError, "no column 'absent'"),
        ({"measured": {"whole": SOME}, "panel_key": "study"}, DataError, "values for which nobody said .* 'panel'"),
        (
            {"measured": {"whole": SOME, "panel": ["A", "B"]}, "panel_key": "study"},
            DataError,
            "None of the 2 genes of panel 'panel'",
        ),
        (
            {"measured": pd.DataFrame({"whole": [True], "panel": [True]}, index=["G0"]), "panel_key": "study"},
            DataError,
            "missing are 29",
        ),
        (
            {"measured": pd.DataFrame(1, columns=["whole", "panel"], index=[f"G{i}" for i in range(30)]), "panel_key": "study"},
            DataError,
            "not boolean",
        ),
        ({"measured": {"whole": SOME, "panel": SOME[:2]}, "panel_key": "gap"}, DataError, "is missing for 1 of 120 cells"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, error, match):
    data = join(parts())
    data.varm["array"] = np.ones((30, 2), bool)
    data.obs["gap"] = data.obs["study"].astype(object)
    data.obs.loc[data.obs_names[3], "gap"] = np.nan
    with pytest.raises(error, match=match):
        GeneMAE.setup_anndata(data, **options)
    assert "r2mae" not in data.uns
    assert "r2mae_measured" not in data.varm


def test_genes_of_a_panel_that_the_data_lack_are_counted():
    data = join(parts())
    with pytest.warns(UserWarning, match="1 of 15 genes of panel 'panel' are no var_names"):
        GeneMAE.setup_anndata(data, measured={"whole": list(data.var_names), "panel": [*SOME, "OTHER"]}, panel_key="study")


def test_a_record_without_its_table_is_refused(joined, model):
    torn = joined.copy()
    del torn.varm["r2mae_measured"]
    with pytest.raises(SetupError, match="is missing: something copied the one and not the other"):
        model.get_latent_representation(torn)
    torn.varm["r2mae_measured"] = joined.varm["r2mae_measured"].astype(float)
    with pytest.raises(DataError, match="has dtype float64"):
        rb.tl.embed(torn, model)


def test_a_panel_of_next_to_no_genes_is_refused(joined, model):
    small = joined.copy()
    small.X = small.X + sparse.csr_matrix(np.tile(small.var_names == "G7", (120, 1)).astype(np.float32))  # no cell is empty
    small.varm["r2mae_measured"][small.var_names != "G7", list(small.uns["r2mae"]["measured"]["panels"]).index("panel")] = False
    with pytest.raises(GeneCoverageError, match="In cells of the panel of 'panel', 1 of the model's 30 genes were measured"):
        model.get_latent_representation(small)
    assert np.isfinite(model.get_latent_representation(small, min_coverage=0.01)).all()


# ---------------------------------------------------------------- nobody said so


def many(n=150, n_genes=80, kept=40):
    cells = make_cells(2 * n, n_genes=n_genes, seed=4)
    return ad.concat({"whole": cells[:n], "panel": cells[n:, :kept]}, join="outer", label="study")


def test_zeros_throughout_a_batch_are_warned_of():
    joined = many()
    with pytest.warns(UserWarning, match=r"genes are zero in all cells of obs\['study'\] == 'panel'.*pp.measured_by_batch"):
        GeneMAE.setup_anndata(joined, batch_key="study")
    model = GeneMAE(joined, seed=0, **SIZES)
    model.initialize()
    with pytest.warns(UserWarning, match=r"zero in all cells of obs\['study'\] == 'panel'"):
        model.get_latent_representation(joined.copy())
    few, scaled = many(kept=75), many()
    scaled.X = scaled.X.toarray() - scaled.X.toarray().mean(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*zero in all cells")
        model.get_latent_representation()  # of the training data this was said
        rb.pp.measured_by_batch(joined, batch_key="study")
        GeneMAE.setup_anndata(joined, batch_key="study")
        GeneMAE.setup_anndata(few, batch_key="study")  # a handful is left to biology
        GeneMAE.setup_anndata(scaled, batch_key="study", gene_likelihood="normal")


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_a_query_is_looked_at_by_its_own_batches():
    """Not by a column that is called as the model's, and means something else there."""
    cells = make_cells(n_genes=80)
    GeneMAE.setup_anndata(cells, batch_key="batch")
    model = GeneMAE(cells, seed=0, **SIZES)
    model.initialize()
    with pytest.warns(UserWarning, match=r"zero in all cells of obs\['study'\] == 'panel'"):
        model.map_query(many(), batch_key="study")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*zero in all cells")
        model.map_query(many(), batch_key="batch")
