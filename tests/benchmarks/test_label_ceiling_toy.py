"""What labels can teach is asked of cells that did not teach it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks import label_ceiling
from benchmarks.gene_sets import GeneSet
from r2mae_bio.evaluate import stratified_split


@pytest.fixture
def cells():
    """Three classes of 60 cells, each with ten marker genes of forty."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(3), 60)
    rate = np.full((3, 40), 2.0)
    for code in range(3):
        rate[code, 10 * code : 10 * code + 10] = 6.0
    labels = np.array(["a", "b", "c"])[codes]
    counts = sparse.csr_array(rng.poisson(rate[codes]).astype(np.float32))
    return GeneSet("toy", counts, labels, np.array([f"g{i}" for i in range(40)]), stratified_split(labels, seed=0))


def test_classes_with_markers_are_told_apart(cells):
    rows = label_ceiling.measure(cells, "toy", 0)
    assert rows["panel"].unique().tolist() == ["100%", "30%", "10%", "3%", "300 variable"]
    whole = rows[rows["panel"] == "100%"]
    assert whole["probe"].tolist() == ["linear", "knn"]
    assert whole["macro_f1"].min() > 0.95
    assert rows[rows["panel"] == "3%"]["macro_f1"].max() < 0.9
    assert rows["strength"].isin(label_ceiling.STRENGTHS).all()


def test_log_odds_of_a_cell_have_not_seen_its_label(cells):
    """Labels at random are learned by heart with so weak a penalty, unless they are held out."""
    labels = np.random.default_rng(1).permutation(cells.labels)
    values = np.random.default_rng(2).normal(size=(len(labels), 300))
    odds = label_ceiling.log_odds_of_others(values, labels, 1e3, 0)
    by_heart = label_ceiling.logistic_regression(1e3).fit(values, labels).predict(values)
    assert label_ceiling.macro_f1(labels, np.unique(labels)[odds.argmax(1)]) < 0.5
    assert label_ceiling.macro_f1(labels, by_heart) > 0.9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_there_are_log_odds_of_each_class(cells, n_classes):
    kept = np.isin(cells.labels, ["a", "b", "c"][:n_classes])
    odds = label_ceiling.log_odds_of_others(label_ceiling.roots(cells.counts[kept]), cells.labels[kept], 0.1, 0)
    assert odds.shape == (kept.sum(), n_classes)
    assert (np.unique(cells.labels)[odds.argmax(1)] == cells.labels[kept]).mean() > 0.95


def test_a_class_of_which_a_fold_lacks_all_cells_is_the_least_likely(cells):
    labels = cells.labels.astype("U4")
    labels[0] = "rare"
    odds = label_ceiling.log_odds_of_others(label_ceiling.roots(cells.counts), labels, 0.1, 0)
    assert np.isfinite(odds).all()
    assert odds[0].argmin() == np.unique(labels).tolist().index("rare")


def test_report_stands_beside_embeddings(cells):
    frame = label_ceiling.measure(cells, "toy", 0).assign(set="toy", seed=0, method=label_ceiling.METHOD)
    panels = pd.DataFrame(
        {
            "set": "toy",
            "seed": 0,
            "method": "R2MAE",
            "probe": ["linear", "linear", "linear", "knn"],
            "panel": ["100%", "3%", "100%", "100%"],
            "reference": ["all genes", "all genes", "panel", "all genes"],
            "macro_f1": [0.75, 0.1, 0.2, 0.5],
        }
    )
    text = label_ceiling.markdown(frame, panels)
    linear, knn = text.split("## knn probe")
    means, by_set = linear.split("All genes:")
    assert "| R2MAE, probes of all genes | 0.750 |" in means
    assert "| R2MAE, probes of the genes of the query | 0.200 |" in means
    assert "0.750" in by_set
    assert "0.500" in knn
    assert "0.200" not in by_set + knn
