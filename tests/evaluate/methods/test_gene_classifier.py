"""Logistic regression on genes, as CellTypist does it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from r2mae_bio._errors import DataError
from r2mae_bio.evaluate import Annotator, FittedAnnotator, GeneClassifier


@pytest.fixture(scope="module")
def fitted(counts, labels):
    return GeneClassifier().fit(counts, labels, seed=0)


def test_contract_and_separable_types(fitted, counts, labels):
    annotation = fitted.annotate(counts)
    assert isinstance(GeneClassifier(), Annotator)
    assert isinstance(fitted, FittedAnnotator)
    assert list(annotation.classes) == ["B", "NK", "T"]
    np.testing.assert_allclose(annotation.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (annotation.labels == labels).mean() > 0.99


def test_it_is_celltypists_recipe(fitted, counts, labels):
    """By hand: counts per 1e4, log1p, standardised, cut off at 10."""
    dense = counts.toarray().astype(np.float64)
    values = np.log1p(1e4 * dense / dense.sum(axis=1, keepdims=True))
    deviation = values.std(axis=0)
    features = np.minimum((values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1), 10)
    by_hand = LogisticRegression(C=fitted.classifier.best_params_["C"], max_iter=2000).fit(features, labels)
    np.testing.assert_allclose(fitted.annotate(counts).probabilities, by_hand.predict_proba(features), atol=1e-3)


def test_a_query_is_scaled_by_the_reference_and_by_its_own_depth(fitted, counts, labels):
    some = counts[:7]
    np.testing.assert_allclose(fitted.annotate(some).probabilities, fitted.annotate(counts).probabilities[:7], atol=1e-6)
    np.testing.assert_allclose(fitted.annotate(3 * some).probabilities, fitted.annotate(some).probabilities, atol=1e-5)


def test_a_gene_of_one_cell_is_cut_off(counts, labels):
    """At a height never seen it says no more in a query than ten deviations do."""
    rare = np.zeros((counts.shape[0], 1))
    rare[0] = 1
    fitted = GeneClassifier().fit(sparse.csr_array(sparse.hstack([counts, rare])), labels, seed=0)
    query = sparse.csr_array(sparse.hstack([counts[:5], np.full((5, 1), 2.0)]))
    assert fitted.scaler.transform(np.full((1, counts.shape[1] + 1), 5.0))[0, -1] > 10
    assert (fitted.annotate(query).labels == labels[:5]).all()


@pytest.mark.parametrize("wrong", [["B"] * 150, ["B", "T"]], ids=["one class", "too few"])
def test_labels_that_cannot_be_learned_are_refused(counts, wrong):
    with pytest.raises(DataError, match="needed is one label per cell"):
        GeneClassifier().fit(counts, wrong, seed=0)
