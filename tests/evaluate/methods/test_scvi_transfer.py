"""scVI and scANVI between a reference and a query, with few epochs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio.evaluate import SCANVI, Annotator, BatchAware, BatchCorrecting, FittedAnnotator, SCArches, probe

BOTH = pytest.mark.parametrize("mapped", [False, True], ids=["joint", "mapped"])


@pytest.fixture(scope="module")
def query(counts):
    """The same cells, every third gene twice as high."""
    changed = counts.toarray()
    changed[:, ::3] *= 2
    return sparse.csr_array(changed)


@pytest.fixture(scope="module")
def fitted(counts):
    batch = np.tile(["a", "b"], counts.shape[0] // 2)
    return SCArches(5, max_epochs=20, query_epochs=3).fit(counts, seed=0, batch=batch)


def test_scarches_contract(fitted, counts, everything):
    assert isinstance(SCArches(), BatchAware)
    assert isinstance(fitted, BatchCorrecting)
    assert list(fitted.batches) == ["a", "b"]
    embedding = fitted.embed(counts[:9], everything)
    assert embedding.shape == (9, 5)
    np.testing.assert_array_equal(embedding, fitted.embed_batches(counts[:9], everything, ["a"] * 9))


def test_the_encoder_is_told_the_batch(fitted, counts, everything):
    as_a, as_b = (fitted.embed_batches(counts[:9], everything, [name] * 9) for name in "ab")
    assert np.abs(as_a - as_b).max() > 1e-3


def test_a_new_batch_is_learned_and_the_reference_stays(fitted, counts, query, everything, labels):
    before, weights = fitted.embed(counts, everything), [p.clone() for p in fitted.model.module.parameters()]
    new = fitted.embed_batches(query, everything, ["new"] * query.shape[0])
    assert all(torch.equal(p, q) for p, q in zip(fitted.model.module.parameters(), weights, strict=True))
    np.testing.assert_array_equal(fitted.embed(counts, everything), before)
    assert probe(before, labels, new, labels).accuracy > 0.9
    again = fitted.embed_batches(query, everything, ["new"] * query.shape[0])
    np.testing.assert_array_equal(again, new)


def test_known_and_new_batches_side_by_side(fitted, counts, everything):
    names = np.array(["a", "new", "b", "new"] * 5)
    mixed = fitted.embed_batches(counts[:20], everything, names)
    known = np.flatnonzero(names != "new")
    np.testing.assert_allclose(mixed[known], fitted.embed_batches(counts[known], everything, names[known]), atol=1e-6)
    assert np.isfinite(mixed).all()


def test_unmeasured_genes_are_zero(fitted, counts, everything):
    measured = np.arange(counts.shape[1]) % 2 == 0
    zeroed = sparse.csr_array(counts[:20].toarray() * measured)
    names = ["new"] * 20
    left_out = fitted.embed_batches(counts[:20], measured, names)
    np.testing.assert_allclose(left_out, fitted.embed_batches(zeroed, everything, names), atol=1e-6)


@BOTH
def test_scanvi_labels_separable_types(mapped, counts, query, labels):
    method = SCANVI(mapped, 5, max_epochs=20, label_epochs=20, query_epochs=3)
    fitted = method.fit(counts, labels, seed=0)
    annotation = fitted.annotate(query)
    assert isinstance(method, Annotator)
    assert isinstance(fitted, FittedAnnotator)
    assert method.sees_query
    assert list(annotation.classes) == ["B", "NK", "T"]
    np.testing.assert_allclose(annotation.probabilities.sum(axis=1), 1, atol=1e-4)
    assert (annotation.labels == labels).mean() > 0.9


@BOTH
def test_same_seed_same_labels_and_no_trace_in_global_state(mapped, counts, query, labels):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    method = SCANVI(mapped, 3, max_epochs=1, label_epochs=1, query_epochs=1)
    one, other = (method.fit(counts, labels, seed=0).annotate(query[:30]).probabilities for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_label_that_says_unknown_is_refused(counts, labels):
    with pytest.raises(DataError, match="needed is one known label per cell"):
        SCANVI().fit(counts, np.where(labels == "T", "Unknown", labels), seed=0)
