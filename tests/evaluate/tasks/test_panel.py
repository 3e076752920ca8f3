from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from r2mae_bio import evaluate
from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    Noise,
    PCAZeroFill,
    ProbabilisticPCA,
    Split,
    panel_mask,
    panel_transfer,
    stratified_split,
    summarize,
    to_markdown,
)

FRACTIONS, SEEDS = (1.0, 0.1), (0, 1)


@dataclass
class Spy:
    """Embeds by total counts and writes down what it was shown."""

    name: str = "spy"
    fits: list = field(default_factory=list)
    embeds: list = field(default_factory=list)

    def fit(self, counts, *, seed):
        self.fits.append((counts.toarray(), seed))
        return self

    def embed(self, counts, measured):
        self.embeds.append((counts.toarray(), measured))
        return np.asarray(counts[:, np.flatnonzero(measured)].sum(axis=1), dtype=np.float32).reshape(-1, 1)


@pytest.fixture(scope="module")
def frame(counts, labels):
    methods = [PCAZeroFill(5), ProbabilisticPCA(5), FactorAnalysis(5), Noise(5)]
    return panel_transfer(methods, counts, labels, split=stratified_split(labels), fractions=FRACTIONS, seeds=SEEDS)


def test_frame_is_tidy_and_complete(frame):
    assert list(frame) == ["method", "seed", "panel", "fraction", "n_genes", "probe", "accuracy", "macro_f1"]
    assert len(frame) == 4 * 2 * 2 * 2
    assert not frame.duplicated(["method", "seed", "fraction", "probe"]).any()
    assert set(frame["n_genes"]) == {60, 6}
    assert frame[["accuracy", "macro_f1"]].apply(lambda column: column.between(0, 1)).all(axis=None)


def test_ranking_is_what_theory_says(frame):
    score = frame[frame["probe"] == "linear"].groupby(["method", "fraction"])["macro_f1"].mean()
    assert score["probabilistic PCA", 1.0] > 0.95
    assert score["probabilistic PCA", 0.1] > score["PCA, zero fill", 0.1]
    assert score["factor analysis", 0.1] > score["PCA, zero fill", 0.1]
    assert score["noise"].max() < 0.6


def test_same_request_same_frame(counts, labels):
    def run():
        return panel_transfer([Noise(5), FactorAnalysis(5)], counts, labels, split=stratified_split(labels), fractions=(0.2,))

    pd.testing.assert_frame_equal(run(), run())


def test_methods_learn_from_reference_cells_only_and_share_the_panels(counts, labels):
    split, spy, twin = stratified_split(labels), Spy(), Spy("twin")
    panel_transfer([spy, twin], counts, labels, split=split, fractions=FRACTIONS, seeds=SEEDS)
    dense = counts.toarray()
    assert [seed for _, seed in spy.fits] == [0, 1]
    for fitted_on, _ in spy.fits:
        np.testing.assert_array_equal(fitted_on, dense[split.reference])
    for i, seed in enumerate(SEEDS):
        reference, *queries = spy.embeds[3 * i : 3 * i + 3]
        np.testing.assert_array_equal(reference[0], dense[split.reference])
        assert reference[1].all()
        for (query, measured), fraction in zip(queries, FRACTIONS, strict=True):
            np.testing.assert_array_equal(query, dense[split.query])
            np.testing.assert_array_equal(measured, panel_mask(60, fraction, seed=seed))
    for ours, theirs in zip(spy.embeds, twin.embeds, strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_progress_is_reported_line_by_line(counts, labels):
    lines = []
    split = stratified_split(labels)
    panel_transfer([Noise(5)], counts, labels, split=split, fractions=FRACTIONS, seeds=(3,), on_result=lines.append)
    assert len(lines) == 4
    assert lines[0].startswith("noise, seed 3, 60 genes, linear probe: macro-F1 0.")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param({"embedders": [Noise(2), Noise(3)]}, "embedders repeat 'noise'", id="names"),
        pytest.param({"embedders": []}, "embedders are empty", id="no-method"),
        pytest.param({"seeds": ()}, "seeds are empty", id="no-seed"),
        pytest.param({"fractions": (0.5, 0.5)}, "panels repeat '50%'", id="fractions"),
        pytest.param({"probes": ("tree",)}, "choose 'linear' or 'knn'", id="probe"),
    ],
)
def test_refuses_a_request_that_cannot_be_tabulated(counts, labels, change, match):
    request = {"embedders": [Noise(2)], "split": stratified_split(labels), **change}
    with pytest.raises(ConfigError, match=match):
        panel_transfer(request.pop("embedders"), counts, labels, **request)


@pytest.mark.parametrize(
    ("reference", "query", "match"),
    [
        pytest.param(range(100), range(99, 150), "share cells", id="overlap"),
        pytest.param(range(100), range(100, 151), "lack", id="beyond"),
        pytest.param(range(100), [-1], "lack", id="negative"),
        pytest.param(range(100), [], "empty side", id="empty"),
    ],
)
def test_refuses_a_split_that_leaks_or_does_not_fit(counts, labels, reference, query, match):
    split = Split(np.array(reference, dtype=int), np.array(query, dtype=int))
    with pytest.raises(DataError, match=match):
        panel_transfer([Noise(2)], counts, labels, split=split)


def test_refuses_labels_of_another_length(counts, labels):
    with pytest.raises(DataError, match="150 cells and 149 labels"):
        panel_transfer([Noise(2)], counts, labels[1:], split=stratified_split(labels))


def toy(scores, method="m", fraction=0.1):
    rows = [(method, seed, fraction, 6, "linear", s, s / 2) for seed, s in enumerate(scores)]
    return pd.DataFrame(rows, columns=["method", "seed", "fraction", "n_genes", "probe", "accuracy", "macro_f1"])


def test_summary_by_hand():
    row = summarize(toy([0.2, 0.4, 0.6])).iloc[0]
    assert row["accuracy_mean"] == pytest.approx(0.4)
    assert row["accuracy_std"] == pytest.approx(0.2)
    assert row["macro_f1_std"] == pytest.approx(0.1)
    assert row["n_seeds"] == 3
    assert np.isnan(summarize(toy([0.2]))["accuracy_std"][0])


def test_summary_of_a_real_frame(frame):
    summary = summarize(frame)
    assert len(summary) == 4 * 2 * 2
    assert list(summary["method"].unique()) == list(frame["method"].unique())
    one = frame.query("method == 'noise' and fraction == 0.1 and probe == 'knn'")["macro_f1"]
    row = summary.query("method == 'noise' and fraction == 0.1 and probe == 'knn'").iloc[0]
    assert row["macro_f1_mean"] == pytest.approx(one.mean())
    assert row["macro_f1_std"] == pytest.approx(one.std(ddof=1))


def test_markdown_by_hand():
    parts = [
        toy([0.8, 0.9], "a|b", 0.03),
        toy([0.5], "c", 0.03),
        toy([0.1], "c", 1.0),
        toy([0.1], "a|b", 1.0),
        toy([0.7], "d", 0.03),
    ]
    table = to_markdown(summarize(pd.concat(parts)), probe="linear", metric="accuracy")
    assert table.splitlines() == [
        "| method | 100% | 3% |",
        "| --- | --- | --- |",
        r"| a\|b | **0.100** | **0.850 ± 0.071** |",
        "| c | **0.100** | 0.500 |",
        "| d |  | 0.700 |",
    ]


def test_table_refusals(frame):
    summary = summarize(frame)
    with pytest.raises(DataError, match="lacks the columns seed"):
        summarize(frame.drop(columns="seed"))
    with pytest.raises(DataError, match="no column with a metric"):
        summarize(frame.drop(columns=["accuracy", "macro_f1"]))
    with pytest.raises(ConfigError, match="choose one of accuracy, macro_f1"):
        to_markdown(summary, probe="linear", metric="auc")
    with pytest.raises(ConfigError, match="no rows of the probe 'tree'"):
        to_markdown(summary, probe="tree")
    with pytest.raises(DataError, match="several rows"):
        to_markdown(pd.concat([summary, summary]), probe="knn")


def test_exports_are_complete_and_sorted():
    assert evaluate.__all__ == sorted(evaluate.__all__)
    assert all(getattr(evaluate, exported).__doc__ for exported in evaluate.__all__)
