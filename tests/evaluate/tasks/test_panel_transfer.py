"""Probes on panels of genes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    Noise,
    PCAZeroFill,
    ProbabilisticPCA,
    Split,
    panel_mask,
    panel_transfer,
    probe,
    stratified_split,
    summarize,
    to_markdown,
    variable_panel,
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
        pytest.param({"probes": ("tree",)}, "choose 'linear', 'knn' or 'tuned'", id="probe"),
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


def test_scores_by_class_average_to_macro_f1(counts, labels):
    frame = panel_transfer(
        [PCAZeroFill(5)], counts, labels, split=stratified_split(labels), fractions=(0.3,), seeds=(0,), by_class=True
    )
    for _, rows in frame.groupby("probe"):
        assert rows["f1"].mean() == pytest.approx(rows["macro_f1"].iloc[0])
        assert set(rows["label"]) == set(labels)


def test_named_panels_stand_beside_fractions(counts, labels):
    split = stratified_split(labels)
    panels = {"variable": variable_panel(counts[split.reference], 12), "two genes": [3, 1]}
    frame = panel_transfer([PCAZeroFill(5)], counts, labels, split=split, fractions=(0.5,), panels=panels, seeds=(0,))
    assert dict(zip(frame["panel"], frame["n_genes"], strict=True)) == {
        "50%": counts.shape[1] // 2,
        "variable": 12,
        "two genes": 2,
    }
    table = to_markdown(summarize(frame), probe="knn")
    assert table.splitlines()[0] == "| method | 50% | variable | two genes |"


def test_matched_probes_learn_from_the_panel(counts, labels):
    split, options = stratified_split(labels), {"fractions": (1.0, 0.1), "seeds": (0,), "probes": ("linear",)}
    frame = panel_transfer([PCAZeroFill(5)], counts, labels, split=split, matched=True, **options)
    score = frame.set_index(["panel", "reference"])["macro_f1"]
    plain = panel_transfer([PCAZeroFill(5)], counts, labels, split=split, **options).set_index("panel")["macro_f1"]
    assert score["100%", "panel"] == score["100%", "all genes"] == plain["100%"]
    assert score["10%", "all genes"] == plain["10%"]
    measured = panel_mask(counts.shape[1], 0.1, seed=0)
    fitted = PCAZeroFill(5).fit(counts[split.reference], seed=0)
    by_hand = probe(
        fitted.embed(counts[split.reference], measured),
        labels[split.reference],
        fitted.embed(counts[split.query], measured),
        labels[split.query],
    )
    assert score["10%", "panel"] == by_hand.macro_f1 != plain["10%"]
    assert summarize(frame)["reference"].tolist() == frame["reference"].tolist()


@pytest.mark.parametrize("panel", [[0, 0], [-1], [10**6], [0.5], []], ids=["twice", "negative", "beyond", "fraction", "empty"])
def test_bad_panels_are_refused(counts, labels, panel):
    with pytest.raises(DataError, match="panel"):
        panel_transfer([PCAZeroFill(5)], counts, labels, split=stratified_split(labels), panels={"mine": panel})
