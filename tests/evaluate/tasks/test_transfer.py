"""Tables across groups, depths and designed panels, and the molecules that denoising is judged
by.
"""

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.metrics import f1_score

from r2mae_bio.errors import ConfigError, DataError, FractionalCountsError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    HighlyVariableGenes,
    MajorityClass,
    MaskedAutoencoder,
    MeanProfile,
    NoDenoising,
    PCAZeroFill,
    denoising,
    depth_transfer,
    group_splits,
    label_transfer,
    log_normalize,
    marker_panel,
    panel_mask,
    panel_transfer,
    probe,
    stratified_split,
    stratified_splits,
    summarize,
    thin_counts,
    to_markdown,
    variable_panel,
)
from r2mae_bio.evaluate.tasks._denoising import poisson_nll
from r2mae_bio.evaluate.tasks._gene_panels import welch_t

SMALL = {"n_latent": 4, "n_factors": 4, "n_tokens": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}


@pytest.fixture(scope="module")
def groups(labels):
    return np.where(np.arange(len(labels)) % 3 == 0, "second", "first")


def test_a_group_is_held_out_whole(groups):
    splits = group_splits(groups)
    assert list(splits) == ["first", "second"]
    assert set(groups[splits["first"].query]) == {"first"}
    assert set(groups[splits["first"].reference]) == {"second"}


def test_one_group_cannot_be_held_out():
    with pytest.raises(DataError, match="at least two groups"):
        group_splits(["a", "a"])


def test_folds_score_every_cell_once(labels):
    folds = stratified_splits(labels, n_splits=3)
    assert np.array_equal(np.sort(np.concatenate([fold.query for fold in folds])), np.arange(len(labels)))
    for fold in folds:
        assert not np.intersect1d(fold.query, fold.reference).size
        assert set(labels[fold.query]) == set(labels)


def test_label_transfer_has_a_row_for_each_group(counts, labels, groups):
    frame = label_transfer([PCAZeroFill(5), MajorityClass()], counts, labels, groups=groups, seeds=(0,))
    assert len(frame) == 2 * 2 * 2
    by_method = frame.groupby("method")["macro_f1"].mean()
    assert by_method["PCA, zero fill"] > 0.9 > by_method["majority class"]


def test_unseen_classes_are_dropped_or_wrong(counts, labels, groups):
    alone = np.where((labels == labels[0]) & (groups == "first"), "only here", labels)
    methods, options = [PCAZeroFill(5)], {"groups": groups, "seeds": (0,), "probes": ("linear",)}
    dropped = label_transfer(methods, counts, alone, unseen="drop", **options).set_index("group").loc["first"]
    wrong = label_transfer(methods, counts, alone, unseen="wrong", **options).set_index("group").loc["first"]
    assert dropped["n_unseen"] == wrong["n_unseen"] == (alone == "only here").sum()
    assert wrong["n_query"] == dropped["n_query"] + dropped["n_unseen"]
    assert wrong["accuracy"] < dropped["accuracy"]


def test_scores_by_class_average_to_macro_f1(counts, labels):
    frame = panel_transfer(
        [PCAZeroFill(5)], counts, labels, split=stratified_split(labels), fractions=(0.3,), seeds=(0,), by_class=True
    )
    for _, rows in frame.groupby("probe"):
        assert rows["f1"].mean() == pytest.approx(rows["macro_f1"].iloc[0])
        assert set(rows["label"]) == set(labels)


def test_majority_class_is_predicted_by_every_probe(counts, labels):
    split = stratified_split(labels)
    names, sizes = np.unique(labels[split.reference], return_counts=True)
    largest = np.full(len(split.query), names[np.argmax(sizes)])
    frame = panel_transfer([MajorityClass()], counts, labels, split=split, fractions=(1.0,), seeds=(0,))
    expected = f1_score(labels[split.query], largest, average="macro", zero_division=0)
    assert frame["macro_f1"].to_numpy() == pytest.approx(expected)


def test_highly_variable_genes_are_the_log_counts(counts):
    everything = np.ones(counts.shape[1], bool)
    chosen = variable_panel(counts, 10)
    fitted = HighlyVariableGenes(10).fit(counts, seed=0)
    assert np.allclose(fitted.embed(counts, everything), log_normalize(counts, everything).toarray()[:, chosen], atol=1e-5)
    hidden = everything.copy()
    hidden[np.flatnonzero(chosen)[0]] = False
    assert (fitted.embed(counts, hidden)[:, 0] == 0).all()


def test_markers_are_ranked_by_welch_t(counts, labels):
    values = log_normalize(counts, np.ones(counts.shape[1], bool))
    scores, dense = welch_t(values, labels), values.toarray()
    for row, label in enumerate(np.unique(labels)):
        inside = labels == label
        expected = stats.ttest_ind(dense[inside], dense[~inside], equal_var=False).statistic
        assert np.allclose(scores[row], expected, atol=1e-6, equal_nan=True) or np.allclose(
            scores[row][np.isfinite(expected)], expected[np.isfinite(expected)], atol=1e-6
        )
    assert marker_panel(counts, labels, 9).sum() == 9


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


def test_thinning_is_binomial():
    counts = sparse.csr_array(np.full((400, 50), 20.0))
    thinned = thin_counts(counts, 0.3, seed=1)
    values = thinned.toarray().ravel()
    assert (values <= 20).all()
    assert values.mean() == pytest.approx(6, abs=4 * np.sqrt(20 * 0.21 / values.size))
    assert values.var() == pytest.approx(20 * 0.21, rel=0.05)
    assert (thin_counts(counts, 0.3, seed=1) != thinned).nnz == 0
    assert (thin_counts(counts, 0.3, seed=2) != thinned).nnz > 0


def test_thinning_needs_whole_numbers():
    with pytest.raises(FractionalCountsError, match="whole numbers"):
        thin_counts(sparse.csr_array([[0.5, 2.0]]), 0.5, seed=0)
    with pytest.raises(ConfigError, match="share"):
        thin_counts(sparse.csr_array([[1.0]]), 1.5, seed=0)


def test_less_depth_is_harder(counts, labels):
    frame = depth_transfer([FactorAnalysis(5)], counts, labels, split=stratified_split(labels), depths=(1.0, 0.02), seeds=(0, 1))
    mean = frame.groupby("depth")[["macro_f1", "mean_counts"]].mean()
    assert mean.loc[0.02, "macro_f1"] < mean.loc[1.0, "macro_f1"]
    assert mean.loc[0.02, "mean_counts"] == pytest.approx(0.02 * mean.loc[1.0, "mean_counts"], rel=0.1)


def test_poisson_nll_is_that_of_scipy():
    observed, expected = np.array([0.0, 3.0, 7.0]), np.array([0.1, 2.5, 9.0])
    assert np.allclose(poisson_nll(observed, expected), -stats.poisson.logpmf(observed, expected))


def test_denoisers_that_know_the_cells_beat_those_that_do_not(counts, labels):
    # three programmes in noise: the model must beat one profile for all, and the noisy counts
    # themselves
    methods = [
        NoDenoising(),
        MeanProfile(),
        FactorAnalysis(3),
        MaskedAutoencoder("small", model_kwargs=SMALL, train_kwargs={"max_epochs": 60}),
    ]
    frame = denoising(methods, counts, split=stratified_split(labels), seeds=(0,))
    nll = frame.set_index("method")["poisson_nll"]
    assert nll["factor analysis"] < nll["mean profile"]
    assert nll["small"] < nll["mean profile"]
    assert nll["small"] < nll["no denoising"]


def test_denoising_refuses_methods_without_rates(counts, labels):
    with pytest.raises(ConfigError, match="gives no expected counts"):
        denoising([MajorityClass()], counts, split=stratified_split(labels), seeds=(0,))
