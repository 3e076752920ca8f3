import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import fit_probe, probe

KINDS = ["linear", "knn", "tuned"]


def blobs(distance, seed=0, n=60):
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], n)
    return distance * np.eye(3)[np.searchsorted(["a", "b", "c"], labels)] + rng.standard_normal((3 * n, 3)), labels


@pytest.mark.parametrize("kind", KINDS)
def test_separable_classes_are_found_and_noise_is_not(kind):
    assert probe(*blobs(20, 0), *blobs(20, 1), kind=kind).macro_f1 == 1.0
    assert probe(*blobs(0, 0), *blobs(0, 1), kind=kind).macro_f1 < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_scores_agree_with_sklearn(kind):
    trained = fit_probe(*blobs(1.5), kind=kind)
    query, truth = blobs(1.5, 1)
    result, predicted = trained.score(query, truth), trained.predict(query)
    assert result.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert result.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert result.per_class["b"] == pytest.approx(f1_score(truth == "b", predicted == "b"))
    assert result.n_query == len(truth)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_once_equals_the_one_call_form_and_is_deterministic(kind):
    query = blobs(1.0, 1)
    trained = fit_probe(*blobs(1.0), kind=kind)
    assert trained.score(*query) == trained.score(*query) == probe(*blobs(1.0), *query, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_scale_shift_and_order_do_not_matter(kind):
    (reference, labels), query = blobs(1.5), blobs(1.5, 1)
    expected = probe(reference, labels, *query, kind=kind)
    order = np.random.default_rng(0).permutation(len(labels))
    assert probe(reference[order], labels[order], *query, kind=kind).macro_f1 == pytest.approx(expected.macro_f1, abs=0.01)
    assert probe(4 * reference + 8, labels, 4 * query[0] + 8, query[1], kind=kind) == expected


def test_linear_probe_ignores_the_scale_of_each_dimension_and_knn_does_not():
    (reference, labels), (query, truth) = blobs(3.0), blobs(3.0, 1)
    reference, query = np.c_[reference, blobs(0, 2)[0]], np.c_[query, blobs(0, 3)[0]]
    scale = np.array([1, 1, 1, 100, 100, 100])
    change = {kind: probe(reference * scale, labels, query * scale, truth, kind=kind).accuracy for kind in KINDS}
    assert change["linear"] == pytest.approx(probe(reference, labels, query, truth).accuracy)
    assert change["knn"] < 0.6


def test_classes_are_those_of_the_query():
    reference, labels = blobs(20)
    query, truth = blobs(20, 1)
    only_a = truth == "a"
    assert probe(reference, labels, query[only_a], truth[only_a]).per_class == {"a": 1.0}
    unseen = np.where(truth == "c", "new", truth)
    result = probe(reference, labels, query, unseen)
    assert result.per_class == {"a": 1.0, "b": 1.0, "new": 0.0}
    assert result.macro_f1 == pytest.approx(2 / 3)


def test_labels_of_any_kind():
    reference, labels = blobs(20)
    codes = np.searchsorted(["a", "b", "c"], labels)
    assert probe(reference, codes, reference, codes).per_class == {"0": 1.0, "1": 1.0, "2": 1.0}
    assert probe(reference, pd.Categorical(labels), reference, pd.Series(labels)).accuracy == 1.0


def test_fewer_reference_cells_than_neighbours():
    assert probe([[0.0], [0.1], [9.0]], ["a", "a", "b"], [[0.0]], ["a"], kind="knn").accuracy == 1.0


def test_refusals():
    reference, labels = blobs(1)
    with pytest.raises(ConfigError, match="choose 'linear', 'knn' or 'tuned'"):
        fit_probe(reference, labels, kind="forest")
    with pytest.raises(DataError, match="at least two classes"):
        fit_probe(reference, ["a"] * len(labels))
    with pytest.raises(DataError, match="180 embeddings and 2 labels"):
        fit_probe(reference, ["a", "b"])
    with pytest.raises(DataError, match="shape"):
        fit_probe(reference[:, 0], labels)
    with pytest.raises(DataError, match="1 of 180 reference cells"):
        fit_probe(np.where(np.arange(180)[:, None] == 5, np.nan, reference), labels)
    with pytest.raises(DataError, match="2 columns, the reference 3"):
        fit_probe(reference, labels).score(reference[:, :2], labels)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_the_classes(kind):
    trained, (query, truth) = fit_probe(*blobs(6), kind=kind), blobs(6, 1)
    probabilities = trained.predict_proba(query)
    assert list(trained.classes) == ["a", "b", "c"]
    assert probabilities.shape == (len(truth), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (trained.classes[probabilities.argmax(axis=1)] == trained.predict(query)).all()
    assert probabilities[np.arange(len(truth)), np.searchsorted(trained.classes, truth)].mean() > 0.9
