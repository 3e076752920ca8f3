"""Summaries of tidy tables, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    Noise,
    PCAZeroFill,
    ProbabilisticPCA,
    panel_transfer,
    stratified_split,
    summarize,
    to_markdown,
)

FRACTIONS, SEEDS = (1.0, 0.1), (0, 1)


@pytest.fixture(scope="module")
def frame(counts, labels):
    methods = [PCAZeroFill(5), ProbabilisticPCA(5), FactorAnalysis(5), Noise(5)]
    return panel_transfer(methods, counts, labels, split=stratified_split(labels), fractions=FRACTIONS, seeds=SEEDS)


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


def test_shares_of_molecules_are_kept_apart():
    rows = [("a", seed, share, share) for seed in (0, 1) for share in (0.5, 0.9)]
    summary = summarize(pd.DataFrame(rows, columns=["method", "seed", "train_share", "poisson_nll"]))
    assert summary["train_share"].tolist() == [0.5, 0.9]
    assert summary["poisson_nll_std"].tolist() == [0, 0]
