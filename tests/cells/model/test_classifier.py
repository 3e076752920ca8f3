"""A fine-tuned classifier of cells: what it says, what it does not depend on, its way to disk."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    DataError,
    VocabularyMismatchError,
)
from r2mae_bio.model import CellClassifier, GeneMAE

from ...toy_cells import SIZES, make_cells
from .conftest import finetune


def test_probabilities_and_scores(tuned, cells):
    found = tuned.predict_proba(cells)
    assert found.shape == (150, 3)
    assert (found.dtypes == np.float32).all()
    assert list(found.index) == list(cells.obs_names)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    labels, predicted = cells.obs["group"], tuned.predict(cells)
    scores = tuned.evaluate(cells)
    assert scores["n"] == 150
    assert scores["accuracy"] == pytest.approx((labels == predicted).mean())
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["mcc"] == pytest.approx(matthews_corrcoef(labels, predicted))


def test_a_cell_does_not_depend_on_the_others(tuned, cells):
    alone = tuned.predict_proba(cells, batch_size=1)
    for found in (tuned.predict_proba(cells), tuned.predict_proba(cells, batch_size=7), tuned.predict_proba(cells[::-1])):
        pd.testing.assert_frame_equal(found.loc[alone.index], alone, atol=1e-5, rtol=0)
    few = tuned.predict_proba(cells[[5, 100]])
    pd.testing.assert_frame_equal(few, alone.iloc[[5, 100]], atol=1e-5, rtol=0)


def test_genes_are_matched_by_name(tuned, cells):
    whole = tuned.predict_proba(cells)
    shuffled = cells[:, np.random.default_rng(0).permutation(30)].copy()
    pd.testing.assert_frame_equal(tuned.predict_proba(shuffled), whole, check_exact=True)
    further = ad.concat(
        [shuffled, ad.AnnData(np.ones((150, 2), np.float32), cells.obs, pd.DataFrame(index=["X1", "X2"]))], axis=1
    )
    pd.testing.assert_frame_equal(tuned.predict_proba(further), whole, check_exact=True)


def test_a_missing_gene_is_not_a_zero(tuned, cells):
    panel, marked, zero = cells[:, :20].copy(), cells.copy(), cells.copy()
    marked.var["measured"] = np.arange(30) < 20
    zero.X = zero.X.multiply(np.arange(30) < 20).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tuned.predict_proba(panel)
        pd.testing.assert_frame_equal(tuned.predict_proba(marked), found, check_exact=True)
        assert np.abs(tuned.predict_proba(zero) - found).to_numpy().max() > 0.01


def test_saved_and_loaded_gives_equal_bits(tuned, cells, tmp_path):
    loaded = CellClassifier.load(tuned.save(tmp_path / "c"))
    pd.testing.assert_frame_equal(loaded.predict_proba(cells), tuned.predict_proba(cells), check_exact=True)
    pd.testing.assert_frame_equal(loaded.predict_proba(cells[:, ::2]), tuned.predict_proba(cells[:, ::2]), check_exact=True)
    pd.testing.assert_frame_equal(loaded.history, tuned.history)
    assert repr(loaded) == repr(tuned)
    assert loaded.record.config == tuned.record.config
    with pytest.raises(CheckpointError, match="overwrite=True"):
        tuned.save(tmp_path / "c")
    tuned.save(tmp_path / "c", overwrite=True)


def test_a_hidden_layer_is_saved_too(trained, cells, tmp_path):
    classifier = finetune(trained, cells, config=CellFinetuneConfig(n_steps=5, n_hidden=4))
    loaded = CellClassifier.load(classifier.save(tmp_path / "c"))
    pd.testing.assert_frame_equal(loaded.predict_proba(cells), classifier.predict_proba(cells), check_exact=True)


def test_other_folders_are_refused(trained, tuned, tmp_path):
    tuned.save(tmp_path / "classifier")
    trained.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="holds a GeneMAE"):
        CellClassifier.load(tmp_path / "model")
    with pytest.raises(CheckpointError, match="holds a CellClassifier"):
        GeneMAE.load(tmp_path / "classifier")
    weights = tmp_path / "classifier" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptCheckpointError, match="checksum"):
        CellClassifier.load(tmp_path / "classifier")
    weights.write_bytes((tmp_path / "model" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError):
        CellClassifier.load(tmp_path / "classifier")


def test_weights_of_another_vocabulary_are_refused(tuned, tmp_path):
    other = make_cells(60)
    other.var_names = [f"H{i}" for i in range(30)]
    GeneMAE.setup_anndata(other)
    model = GeneMAE(other, **SIZES)
    model.initialize()
    tuned.save(tmp_path / "a")
    finetune(model, other).save(tmp_path / "b")
    (tmp_path / "a" / "model.safetensors").write_bytes((tmp_path / "b" / "model.safetensors").read_bytes())
    with pytest.raises(VocabularyMismatchError, match="another gene vocabulary"):
        CellClassifier.load(tmp_path / "a")


def test_unknown_labels_are_left_out_of_the_evaluation(tuned, cells):
    renamed = cells.copy()
    renamed.obs["group"] = renamed.obs["group"].replace({"2": "new"})
    with pytest.warns(UserWarning, match="50 cells have labels that the classifier does not know and are left out: new"):
        scores = tuned.evaluate(renamed)
    assert scores == tuned.evaluate(cells[cells.obs["group"] != "2"])
    renamed.obs["group"] = "new"
    with pytest.raises(DataError, match="it knows '0', '1', '2', the data have 'new'"):
        tuned.evaluate(renamed)


def test_batch_size_is_checked(tuned, cells):
    with pytest.raises(ConfigError, match="batch_size is 0"):
        tuned.predict_proba(cells, batch_size=0)
