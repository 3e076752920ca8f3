"""``mask_ratio="auto"``: the law that the linear theory recommends for the training data."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError
from r2mae_bio.masking import Uniform
from r2mae_bio.model import GeneMAE
from r2mae_bio.tl import recommend_mask_ratio


def make(adata, sizes, *, gene_likelihood="nb", mask_ratio="auto", layer=None):
    GeneMAE.setup_anndata(adata, gene_likelihood=gene_likelihood, layer=layer)
    return GeneMAE(adata, mask_ratio=mask_ratio, seed=3, **sizes)


def test_it_takes_the_recommended_law_and_writes_why(adata, sizes, tmp_path, caplog):
    asked = adata.copy()
    advice = recommend_mask_ratio(asked, n_bootstrap=0, seed=3)
    with caplog.at_level("INFO", logger="r2mae_bio"):
        model = make(adata, sizes)
    assert model.record.law == Uniform(*advice.law)
    assert set(adata.uns["r2mae"]) == {"setup", "mask_ratio"}
    stored = adata.uns["r2mae"]["mask_ratio"]
    assert stored["verdict"] == advice.verdict
    assert (stored["masks"], stored["evidence"]) == ("fresh", "held-out")
    np.testing.assert_allclose(stored["full"]["error"], advice.full.curve.error, rtol=1e-6)
    assert advice.verdict in caplog.text

    model.train(max_epochs=1, batch_size=16, progress_bar=False)
    model.save(tmp_path / "model")
    again = GeneMAE.load(tmp_path / "model")
    assert again.record.law == model.record.law
    assert type(again.record.law) is Uniform


def test_the_layer_of_the_setup_is_read(adata, sizes):
    expected = recommend_mask_ratio(adata.copy(), n_bootstrap=0, seed=3).law
    adata.layers["raw"] = adata.X.copy()
    adata.X = np.random.default_rng(0).poisson(1.0, adata.shape).astype(np.float32)
    assert make(adata, sizes, layer="raw").record.law == Uniform(*expected)


def test_normalised_values_are_not_normalised_again(adata, sizes):
    values = np.log1p(adata.X.toarray() / np.asarray(adata.X.sum(1)).reshape(-1, 1) * 1e4)
    adata.X = values.astype(np.float32)
    model = make(adata, sizes, gene_likelihood="normal")
    advice = theory.recommend_mask_ratio(values, normalization=None, n_bootstrap=0, seed=3)
    assert model.record.law == Uniform(*advice.law)
    np.testing.assert_allclose(adata.uns["r2mae"]["mask_ratio"]["full"]["error"], advice.full.curve.error, rtol=1e-3)


@pytest.mark.parametrize("mask_ratio", ["nonsense", "Auto", "", None])
def test_nothing_else_is_taken_for_a_law(adata, sizes, mask_ratio):
    with pytest.raises(ConfigError, match="mask_ratio is"):
        make(adata, sizes, mask_ratio=mask_ratio)
    assert "mask_ratio" not in adata.uns["r2mae"]


def test_a_given_ratio_asks_nobody(adata, sizes):
    assert make(adata, sizes, mask_ratio=(0.2, 0.7)).record.law == Uniform(0.2, 0.7)
    assert "mask_ratio" not in adata.uns["r2mae"]
