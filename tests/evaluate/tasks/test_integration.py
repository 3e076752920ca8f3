"""Integration metrics against other implementations, and what they are told. Most of the time is
JAX compiling.
"""

import logging
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import silhouette_score

from r2mae_bio.errors import ConfigError, DataError, SetupError
from r2mae_bio.evaluate import (
    BatchCorrecting,
    Noise,
    PCAZeroFill,
    integration,
    integration_baseline,
    integration_scores,
    log_normalize,
    summarize,
    to_markdown,
)

N = 90
CHEAP = ("graph_connectivity",)


@pytest.fixture(scope="module")
def classes():
    return np.array(["B", "NK", "T"])[np.arange(N) % 3]


@pytest.fixture(scope="module")
def batch():
    return np.array(["first", "second"])[np.arange(N) // 3 % 2]


@pytest.fixture(scope="module")
def mixed(classes):
    """Three clusters far apart, batches mixed."""
    rng = np.random.default_rng(0)
    return 8 * np.eye(3, 5)[np.searchsorted(["B", "NK", "T"], classes)] + rng.standard_normal((N, 5))


@pytest.fixture(scope="module")
def apart(mixed, batch):
    """The same with the batches far apart."""
    return mixed + 40 * (batch == "second")[:, None] * np.eye(5)[3]


@pytest.fixture
def cells(counts, labels):
    """Cells of three types in two batches."""
    return counts, labels, np.array(["x", "y"])[np.arange(len(labels)) % 2]


def values(*arguments, **options):
    return integration_scores(*arguments, **options).set_index("metric")["value"]


# ---------------------------------------------------------------- values


def test_silhouette_is_that_of_sklearn(mixed, classes, batch):
    found = values(mixed, classes, batch, metrics=("silhouette_label",))["silhouette_label"]
    assert found == pytest.approx((silhouette_score(mixed, classes) + 1) / 2, abs=1e-5)


def test_pcr_is_the_decrease_of_explained_variance(mixed, apart, classes, batch):
    def explained(embedding):
        told = (batch == "second")[:, None].astype(float)
        left = embedding - LinearRegression().fit(told, embedding).predict(told)
        return 1 - left.var(axis=0).sum() / embedding.var(axis=0).sum()

    found = values(mixed, classes, batch, baseline=apart, metrics=("pcr_comparison",))["pcr_comparison"]
    assert found == pytest.approx(1 - explained(mixed) / explained(apart), abs=1e-4)
    # a dead direction carries nothing, and does not spoil the score
    padded = np.column_stack([mixed, np.ones(N)])
    assert values(padded, classes, batch, baseline=apart, metrics=("pcr_comparison",))["pcr_comparison"] == pytest.approx(found)
    assert values(apart, classes, batch, baseline=mixed, metrics=("pcr_comparison",))["pcr_comparison"] == 0


def test_kinds_tell_classes_from_batches(mixed, apart, classes, batch):
    rng = np.random.default_rng(1)
    options = {"metrics": ("nmi", "ari", "ilisi", "clisi")}
    good, split, noise = (values(x, classes, batch, **options) for x in (mixed, apart, rng.standard_normal((N, 5))))
    assert good["nmi"] == pytest.approx(1)
    assert good["ari"] == pytest.approx(1)
    assert split["ilisi"] < 0.05 < good["ilisi"]
    assert noise["ilisi"] > 0.8
    assert noise["clisi"] < good["clisi"]
    assert noise["nmi"] < 0.2


def test_all_metrics_lie_between_zero_and_one_and_repeat(mixed, apart, classes, batch):
    frame = integration_scores(mixed, classes, batch, baseline=apart, seed=3)
    assert list(frame.columns) == ["kind", "metric", "value"]
    assert frame["kind"].value_counts().to_dict() == {"bio conservation": 5, "batch mixing": 5}
    assert frame["value"].between(0, 1).all()
    assert frame["value"].equals(integration_scores(mixed, classes, batch, baseline=apart, seed=3)["value"])
    # k-means starts elsewhere, but finds clusters this far apart from anywhere
    order = np.random.default_rng(2).permutation(N)
    moved = integration_scores(mixed[order], classes[order], batch[order], baseline=apart[order], seed=3)
    assert moved["value"].to_numpy() == pytest.approx(frame["value"].to_numpy(), abs=1e-4)


def test_connected_classes_and_an_unchanged_logger(mixed, classes, batch):
    handlers = list(logging.getLogger().handlers)
    frame = integration_scores(mixed, classes, batch, metrics=("isolated_labels", *CHEAP))
    assert frame.set_index("metric")["value"]["graph_connectivity"] == 1
    assert logging.getLogger().handlers == handlers


def test_baseline_is_the_pca_of_sklearn(counts):
    baseline = integration_baseline(counts, n_components=6)
    dense = log_normalize(counts, np.ones(counts.shape[1], bool)).toarray()
    expected = PCA(6, svd_solver="full").fit_transform(dense)
    assert baseline.dtype == np.float32
    assert np.abs(baseline) == pytest.approx(np.abs(expected), abs=1e-3)
    assert integration_baseline(counts[:7]).shape == (7, 6)


# ---------------------------------------------------------------- methods


class Centred:
    """A PCA that subtracts each batch's mean if it may."""

    name, uses_batch = "centred", True

    def __init__(self, *, corrects=True):
        self.told, self.corrects = [], corrects

    def fit(self, counts, *, seed, batch=None):
        self.told.append(None if batch is None else set(batch))
        fitted = PCAZeroFill(4).fit(counts, seed=seed)
        return CentredFitted(fitted) if self.corrects else fitted


class CentredFitted:
    def __init__(self, pca):
        self.pca = pca

    def embed(self, counts, measured):
        raise AssertionError("the batches were known")

    def embed_batches(self, counts, measured, batch):
        values = self.pca.embed(counts, measured)
        for name in np.unique(batch):
            values[batch == name] -= values[batch == name].mean(axis=0)
        return values


def test_methods_are_told_the_batches(cells):
    counts, labels, batch = cells
    corrects, blind = Centred(), Centred(corrects=False)
    blind.name, blind.uses_batch = "blind", False
    lines = []
    frame = integration(
        [corrects, blind, Noise(5)], counts, labels, batch=batch, seeds=(0, 1), metrics=CHEAP, on_result=lines.append
    )
    assert list(frame.columns) == ["method", "seed", "kind", "metric", "value"]
    assert len(frame) == len(lines) == 3 * 2
    assert corrects.told == [{"x", "y"}] * 2
    assert blind.told == [None] * 2
    assert isinstance(CentredFitted(None), BatchCorrecting)
    assert not isinstance(PCAZeroFill(2).fit(counts, seed=0), BatchCorrecting)
    by_method = frame.groupby("method")["value"].mean()
    assert by_method["noise"] < by_method["blind"]
    table = to_markdown(summarize(frame), metric="value", columns="metric")
    assert table.splitlines()[0] == "| method | graph_connectivity |"


def test_ready_embeddings_and_a_choice_of_cells(cells, monkeypatch):
    counts, labels, batch = cells
    embedding = PCAZeroFill(4).fit(counts, seed=0).embed(counts, np.ones(counts.shape[1], bool))
    options = {"batch": batch, "metrics": CHEAP, "seeds": (5,)}
    ready = integration({"mine": embedding}, counts, labels, max_cells=None, **options)
    assert ready["value"].item() == values(embedding, labels, batch, metrics=CHEAP, seed=5)["graph_connectivity"]
    seen = []
    monkeypatch.setitem(
        sys.modules["r2mae_bio.evaluate.scores._integration_scores"]._ARITHMETIC,
        CHEAP[0],
        lambda c: seen.append(len(c.labels)) or 0.5,
    )
    assert integration({"mine": embedding}, counts, labels, max_cells=60, **options)["value"].item() == 0.5
    assert seen == [60]


# ---------------------------------------------------------------- refusals


def test_a_single_batch_or_class_is_refused(cells):
    counts, labels, batch = cells
    with pytest.raises(DataError, match="are of the batch 'x'; integration needs at least two batches"):
        integration([PCAZeroFill(4)], counts, labels, batch=np.full(len(labels), "x"))
    with pytest.raises(DataError, match="are of the class 'T'"):
        integration([PCAZeroFill(4)], counts, np.full(len(labels), "T"), batch=batch)
    with pytest.raises(DataError, match="No class has cells of two batches"):
        integration([PCAZeroFill(4)], counts, labels, batch=labels)
    with pytest.raises(DataError, match="1 of 150 labels are missing"):
        integration([PCAZeroFill(4)], counts, [None, *labels[1:]], batch=batch)
    with pytest.raises(DataError, match="one batch per cell"):
        integration([PCAZeroFill(4)], counts, labels, batch=batch[1:])


def test_unknown_metrics_and_a_missing_baseline_are_refused(mixed, classes, batch):
    with pytest.raises(ConfigError, match="'total' is unknown; choose from isolated_labels"):
        integration_scores(mixed, classes, batch, metrics=("total",))
    with pytest.raises(ConfigError, match="baseline=integration_baseline"):
        integration_scores(mixed, classes, batch, metrics=("pcr_comparison",))
    with pytest.raises(ConfigError, match="n_components is 0"):
        integration_baseline(sparse.csr_array(np.ones((3, 3))), n_components=0)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [(np.zeros((N, 2)), "the same for all"), (np.full((N, 2), np.nan), "NaN"), (np.ones((3, 2)), r"shape \(3, 2\)")],
    ids=["constant", "nan", "short"],
)
def test_unusable_embeddings_are_refused(embedding, message, classes, batch):
    with pytest.raises(DataError, match=message):
        integration_scores(embedding, classes, batch, metrics=CHEAP)


def test_a_missing_package_is_named(monkeypatch, cells):
    counts, labels, batch = cells
    monkeypatch.setitem(sys.modules, "scib_metrics", None)
    with pytest.raises(SetupError, match=r'pip install "r2mae_bio\[evaluate\]"'):
        integration([PCAZeroFill(4)], counts, labels, batch=batch)
