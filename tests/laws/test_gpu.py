"""What users call, on a CUDA device, beside the same on the CPU."""

from __future__ import annotations

import itertools
import signal

import numpy as np
import pandas as pd
import pytest
import torch

import r2mae_bio as rb
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.config._finetune_sequences import FinetuneConfig

from ..dna.model.conftest import SIZES as DNA_SIZES
from ..dna.model.conftest import periodic, write_genome
from ..toy_cells import SIZES, make_cells

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
CLOSE = {"rtol": 1e-3, "atol": 1e-3}  # sums in another order
TRAINER = {"accelerator": "gpu" if DEVICE == "cuda" else DEVICE, "precision": "32-true", "progress_bar": False}


@pytest.fixture(autouse=True)
def _needs_device():
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: torch.cuda.is_available() is false")


# ---------------------------------------------------------------- cells


def train_cells(adata, *, batch_key=None, epochs=3, **settings):
    rb.model.GeneMAE.setup_anndata(adata, batch_key=batch_key)
    model = rb.model.GeneMAE(adata, seed=3, **SIZES)
    model.train(max_epochs=epochs, batch_size=32, **TRAINER, **settings)
    return model


@pytest.fixture(scope="module")
def cells():
    return make_cells(240, 60)


@pytest.fixture
def model(cells):
    return train_cells(cells.copy()).to_device(DEVICE)


def both(model, call):
    """What a call gives on the device and on the CPU."""
    there = call(model.to_device(DEVICE))
    assert model.device.type == DEVICE
    return there, call(model.to_device("cpu"))


def test_cells_are_embedded_as_on_the_cpu(model, cells):
    panel = cells[:, ::3].copy()
    for query in (cells, panel):
        there, here = both(model, lambda m, q=query: m.get_latent_representation(q))
        np.testing.assert_allclose(there, here, **CLOSE)
    alone = model.to_device(DEVICE).get_latent_representation(cells[7])
    np.testing.assert_allclose(alone, model.get_latent_representation(cells, batch_size=3)[7:8], atol=1e-5)


def test_training_on_the_device_learns(cells):
    history = train_cells(cells.copy(), epochs=8).history
    assert history["validation_loss"].iloc[-1] < history["validation_loss"].iloc[0]


def test_one_seed_gives_the_same_losses(cells):
    first, second = (train_cells(cells.copy()).history["train_loss"] for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-4)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_trains(cells, precision):
    adata = cells.copy()
    rb.model.GeneMAE.setup_anndata(adata)
    model = rb.model.GeneMAE(adata, seed=3, **SIZES)
    model.train(max_epochs=2, batch_size=32, **{**TRAINER, "precision": precision})
    assert np.isfinite(model.history["validation_loss"]).all()
    assert next(model.network.parameters()).dtype == torch.float32


def test_a_run_that_was_interrupted_is_continued(cells, tmp_path, monkeypatch):
    whole = train_cells(cells.copy(), epochs=4)
    fetch, calls = CellTable.batch, itertools.count()

    def interrupt(table, index):
        if next(calls) == 20:
            signal.raise_signal(signal.SIGINT)
        return fetch(table, index)

    with monkeypatch.context() as patch:
        patch.setattr(CellTable, "batch", interrupt)
        stopped = train_cells(cells.copy(), epochs=4, checkpoint_dir=tmp_path / "run", checkpoint_every_n_steps=2)
    assert len(stopped.history) < 4
    resumed = train_cells(cells.copy(), epochs=4, checkpoint_dir=tmp_path / "run", resume_from=tmp_path / "run")
    np.testing.assert_allclose(resumed.history["validation_loss"], whole.history["validation_loss"], rtol=1e-3)


def test_saved_models_return_to_the_cpu(model, cells, tmp_path):
    loaded = rb.model.GeneMAE.load(model.save(tmp_path / "model"))
    assert loaded.device.type == "cpu"
    assert loaded.checksum() == model.checksum()
    np.testing.assert_allclose(loaded.get_latent_representation(cells), model.get_latent_representation(cells), **CLOSE)


def test_the_verbs_give_what_they_give_on_the_cpu(model, cells):
    def imputed(m):
        query = cells[:20, ::2].copy()
        rb.tl.impute(query, m, unmeasured=False)
        return query.layers["r2mae_mean"]

    def attributed(m):
        query = cells[:30].copy()
        rb.tl.attribute(query, m, groupby="group")
        return np.asarray(query.varm["r2mae_attribution"])

    def transferred(m):
        query = cells[::4].copy()
        rb.tl.transfer_labels(query, cells.copy(), labels_key="group", model=m)
        return query.obsm["r2mae_label_probabilities"]

    def genes(m):
        query = cells.copy()
        rb.tl.gene_embeddings(query, m)
        return next(iter(query.varm.values()))

    for verb in (imputed, attributed, transferred, genes):
        there, here = both(model, verb)
        np.testing.assert_allclose(there, here, rtol=1e-2, atol=1e-2, err_msg=verb.__name__)


def test_new_batches_are_mapped(cells):
    model = train_cells(cells.copy(), batch_key="batch")
    query = make_cells(90, 60)
    query.obs["batch"] = "new"

    def mapped(m):
        there = query.copy()
        rb.tl.map_query(there, m)
        return there.obsm["X_r2mae"]

    there, here = both(model, mapped)
    np.testing.assert_allclose(there, here, rtol=1e-2, atol=1e-2)


def test_cells_are_classified_after_fine_tuning(model, cells):
    config = CellFinetuneConfig(n_steps=20, evaluate_every=10, batch_size=32)
    classifiers = [model.finetune(cells.copy(), labels_key="group", config=config, progress_bar=False) for _ in range(2)]
    assert classifiers[0].device.type == DEVICE
    assert classifiers[0].evaluate(cells, labels_key="group")["accuracy"] > 0.9
    first, second = (c.predict_proba(cells).to_numpy() for c in classifiers)
    np.testing.assert_allclose(first, second, atol=1e-2)  # dropout and hidden genes come from the seed
    np.testing.assert_allclose(classifiers[0].to_device("cpu").predict_proba(cells).to_numpy(), first, **CLOSE)


# ---------------------------------------------------------------- bases


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    text = periodic(6000)
    return write_genome(tmp_path_factory.mktemp("genome"), text[:3000] + text[3000:].lower())


@pytest.fixture(scope="module", params=["replace", "drop"])
def dna(request, genome):
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: torch.cuda.is_available() is false")
    model = rb.model.DNAMAE(genome, window=64, hiding=request.param, **DNA_SIZES)
    model.train(max_epochs=6, batch_size=8, epoch_windows=256, repeat_weight=0.5, **TRAINER)
    return model


def test_bases_are_learned(dna):
    assert dna.history["validation_loss"].iloc[-1] < dna.history["validation_loss"].iloc[0]
    assert np.isfinite(dna.history.filter(like="repeat")).to_numpy().all()


def test_bases_are_read_as_on_the_cpu(dna, genome):
    sequences = [genome.fetch("chr1", i, i + n) for i, n in ((0, 64), (100, 200), (500, 20))]
    there, here = both(dna, lambda m: m.get_latent_representation(sequences))
    np.testing.assert_allclose(there, here, **CLOSE)
    there, here = both(dna, lambda m: m.predict(sequences, hidden_at_once=4))
    for a, b in zip(there, here, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


def test_variants_are_scored_as_on_the_cpu(dna, genome):
    at = np.arange(100, 3000, 90)
    reference = [genome.fetch("chr1", int(i), int(i) + 1).upper() for i in at]
    table = pd.DataFrame(
        {"chrom": "chr1", "pos": at + 1, "ref": reference, "alt": ["A" if r != "A" else "CT" for r in reference]}
    )
    there, here = both(dna, lambda m: rb.tl.score_variants(table, genome, m, progress_bar=False))
    pd.testing.assert_frame_equal(there, here, check_exact=False, rtol=1e-2, atol=1e-3)


def test_sequences_are_classified_after_fine_tuning(dna):
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(300)]
    labels = [int(i % 2) for i in range(300)]
    sequences = [s[:10] + "GATTACA" + s[17:] if y else s for s, y in zip(sequences, labels, strict=True)]
    split = np.where(np.arange(300) < 200, "train", np.where(np.arange(300) < 250, "dev", "test"))
    table = pd.DataFrame({"sequence": sequences, "label": labels, "split": split})
    config = FinetuneConfig(n_steps=80, evaluate_every=40, precision="float32")
    classifiers = [dna.to_device(DEVICE).finetune(table, config=config) for _ in range(2)]
    assert classifiers[0].device.type == DEVICE
    assert classifiers[0].evaluate(table)["accuracy"] > 0.9
    first, second = (c.predict_proba(sequences).to_numpy() for c in classifiers)
    np.testing.assert_allclose(first, second, atol=2e-2)  # dropout comes from the seed
    np.testing.assert_allclose(classifiers[0].to_device("cpu").predict_proba(sequences).to_numpy(), first, **CLOSE)
    assert dna.to_device(DEVICE).finetune(table, config=FinetuneConfig(n_steps=20)).history.shape[0]  # in bfloat16
