"""What users hand over without a second thought: NumPy seeds, scaled values, dates as batches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


def test_a_seed_from_numpy_can_be_saved(tmp_path):
    adata = make_cells()
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=np.arange(3)[2], **SIZES)
    model.initialize()
    model.save(tmp_path / "m")
    assert GeneMAE.load(tmp_path / "m").record.seed == 2
    classifier = model.finetune(
        adata, labels_key="group", config=CellFinetuneConfig(n_steps=2), seed=np.int64(1), progress_bar=False
    )
    classifier.save(tmp_path / "c")
    assert type(classifier.record.seed) is int


def test_scaled_values_with_negative_totals_are_modelled():
    adata = make_cells()
    values = np.log1p(adata.X.toarray())
    adata.X = ((values - values.mean(0)) / values.std(0).clip(0.1)).astype(np.float32) - 0.1
    GeneMAE.setup_anndata(adata, gene_likelihood="normal")
    model = GeneMAE(adata, **SIZES)
    model.train(max_epochs=1, progress_bar=False)
    assert np.isfinite(model.get_latent_representation()).all()


def test_dates_can_be_batches():
    adata = make_cells()
    adata.obs["run"] = pd.to_datetime(np.where(np.arange(adata.n_obs) % 2, "2020-01-01", "2021-05-06"))
    GeneMAE.setup_anndata(adata, batch_key="run")
    model = GeneMAE(adata, **SIZES)
    model.initialize()
    assert (model.record.covariates.encode(adata.obs).sum(1) == 1).all()
    assert model.get_normalized_expression(transform_batch=model.batches[0]).shape == adata.shape


def test_summed_duplicates_stay_summed_after_loading(tmp_path):
    adata = make_cells()
    adata.var_names = [*adata.var_names[:-1], adata.var_names[0]]
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, duplicate_genes="sum", **SIZES)
    model.initialize()
    model.save(tmp_path / "m")
    again = GeneMAE.load(tmp_path / "m", adata)
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())
    again.train(max_epochs=1, progress_bar=False)
    assert again.is_trained
