"""Harmony as a control: that of harmonypy, on principal components."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio._errors import SetupError
from r2mae_bio._rng import derive_seed
from r2mae_bio.evaluate import BatchAware, BatchCorrecting, Harmony, PCAZeroFill, probe
from r2mae_bio.evaluate.methods._embedder import embed_known_batches

harmonypy = pytest.importorskip("harmonypy", reason="the control is harmonypy's")


@pytest.fixture(scope="module")
def shifted(counts):
    """The cells once more, every third gene five times as high, and which batch each is of."""
    changed = counts.toarray()
    changed[:, ::3] *= 5
    both = sparse.csr_array(np.concatenate([counts.toarray(), changed]))
    return both, np.repeat(["first", "second"], counts.shape[0])


def test_contract(counts, everything):
    fitted = Harmony(5).fit(counts, seed=0)
    assert isinstance(Harmony(5), BatchAware)
    assert isinstance(fitted, BatchCorrecting)
    np.testing.assert_array_equal(fitted.embed(counts, everything), PCAZeroFill(5).fit(counts, seed=0).embed(counts, everything))


def test_a_single_batch_is_left_as_it_is(counts, everything):
    fitted = Harmony(5).fit(counts, seed=0)
    alone = fitted.embed_batches(counts, everything, ["one"] * counts.shape[0])
    np.testing.assert_array_equal(alone, fitted.embed(counts, everything))


def test_batches_are_taken_out_as_harmonypy_does(shifted, everything):
    counts, batch = shifted
    components = PCAZeroFill(5).fit(counts, seed=3).embed(counts, everything).astype(np.float64)
    seed = derive_seed(3, "harmony") % 2**31
    expected = harmonypy.run_harmony(components, {"b": batch}, "b", random_state=seed, verbose=False).Z_corr
    found = embed_known_batches(Harmony(5), counts, seed=3, batch=batch)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_twins_of_two_batches_are_brought_together_and_types_stay_apart(shifted, labels):
    counts, batch = shifted
    first, types = batch == "first", np.tile(labels, 2)
    apart, found = {}, {}
    for name, method in {"harmony": Harmony(5), "pca": PCAZeroFill(5)}.items():
        embedding = embed_known_batches(method, counts, seed=0, batch=batch)
        apart[name] = np.linalg.norm(embedding[first] - embedding[~first], axis=1).mean()
        found[name] = probe(embedding[first], types[first], embedding[~first], types[~first], kind="knn").macro_f1
    assert apart["harmony"] < 0.5 * apart["pca"]
    assert found["harmony"] > 0.95


def test_its_absence_is_reported(counts, everything, monkeypatch):
    monkeypatch.setitem(sys.modules, "harmonypy", None)
    fitted = Harmony(5).fit(counts, seed=0)
    with pytest.raises(SetupError, match="pip install"):
        fitted.embed_batches(counts, everything, ["a", "b"] * (counts.shape[0] // 2))
