"""Paired differences against scipy, and what cannot be paired."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.evaluate import paired_differences


@pytest.fixture
def frame():
    """Two methods beside R2MAE on three sets, two seeds, two probes, two panels; sets differ more
    than methods do.
    """
    rng = np.random.default_rng(0)
    rows = []
    for name, level in {"a": 0.2, "b": 0.5, "c": 0.8}.items():
        for seed in range(2):
            for probe in ("linear", "knn"):
                for panel in ("100%", "10%"):
                    for method, bonus in {"R2MAE": 0.02, "PCA": 0.0, "FA": 0.01}.items():
                        score = level + bonus + 0.005 * rng.standard_normal()
                        rows.append((name, seed, probe, panel, method, score))
    return pd.DataFrame(rows, columns=["set", "seed", "probe", "panel", "method", "macro_f1"])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_those_of_a_paired_t_test(frame, level):
    result = paired_differences(frame, reference="R2MAE", level=level)
    assert len(result) == 2 * 2 * 2
    for _, row in result.iterrows():
        part = frame[(frame["probe"] == row["probe"]) & (frame["panel"] == row["panel"])]
        ours = part[part["method"] == "R2MAE"].sort_values(["set", "seed"])["macro_f1"].to_numpy()
        theirs = part[part["method"] == row["method"]].sort_values(["set", "seed"])["macro_f1"].to_numpy()
        expected = stats.ttest_rel(ours, theirs).confidence_interval(level)
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
        assert row["mean"] == pytest.approx((ours - theirs).mean())
        assert row["sd"] == pytest.approx(np.std(ours - theirs, ddof=1))
        assert row["n"] == 6
        assert row["wins"] == (ours > theirs).sum()


def test_rows_in_any_order_give_the_same_pairs(frame):
    keys = ["probe", "panel", "method"]
    ordered = paired_differences(frame, reference="R2MAE").sort_values(keys, ignore_index=True)
    shuffled = paired_differences(frame.sample(frac=1, random_state=1), reference="R2MAE").sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(ordered, shuffled)


def test_only_common_pairs_count(frame):
    lacking = frame[~((frame["method"] == "PCA") & (frame["set"] == "c"))]
    n = paired_differences(lacking, reference="R2MAE").set_index("method")["n"]
    assert set(n["PCA"]) == {4}
    assert set(n["FA"]) == {6}


def test_columns_that_the_frame_lacks_are_left_out(frame):
    one = frame[(frame["set"] == "a") & (frame["panel"] == "100%") & (frame["probe"] == "knn")].drop(
        columns=["set", "panel", "probe"]
    )
    result = paired_differences(one, reference="PCA")
    assert list(result.columns) == ["method", "n", "mean", "sd", "low", "high", "wins"]
    assert list(result["method"]) == ["R2MAE", "FA"]
    assert set(result["n"]) == {2}


def test_smaller_is_better_for_a_likelihood():
    frame = pd.DataFrame({"method": ["A", "A", "B", "B"], "seed": [0, 1, 0, 1], "poisson_nll": [0.1, 0.2, 0.3, 0.1]})
    row = paired_differences(frame, reference="A", metric="poisson_nll", by=()).iloc[0]
    assert row["mean"] == pytest.approx(-0.05)
    assert row["wins"] == 1


def test_one_pair_has_no_interval_and_equal_scores_no_width():
    frame = pd.DataFrame({"method": ["A", "B"], "seed": [0, 0], "macro_f1": [0.5, 0.25]})
    row = paired_differences(frame, reference="A").iloc[0]
    assert row["mean"] == 0.25
    assert np.isnan([row["sd"], row["low"], row["high"]]).all()
    twice = pd.concat([frame, frame.assign(seed=1)])
    row = paired_differences(twice, reference="A").iloc[0]
    assert (row["low"], row["mean"], row["high"]) == (0.25, 0.25, 0.25)


def test_what_cannot_be_paired_is_refused(frame):
    with pytest.raises(DataError, match="several rows for .*'R2MAE'"):
        paired_differences(frame, reference="R2MAE", by=("probe",))
    with pytest.raises(ConfigError, match="'scVI'.*'R2MAE', 'PCA', 'FA'"):
        paired_differences(frame, reference="scVI")
    with pytest.raises(ConfigError, match=r"level is 95"):
        paired_differences(frame, reference="R2MAE", level=95)
    with pytest.raises(DataError, match="lacks the columns accuracy"):
        paired_differences(frame, reference="R2MAE", metric="accuracy")
    with pytest.raises(DataError, match="lacks the columns set, seed"):
        paired_differences(frame.drop(columns=["set", "seed"]), reference="R2MAE")


def test_rows_without_a_value_of_by_are_a_group_of_their_own(frame):
    """As of a table with a column that another lacks, put together."""
    other = frame.assign(reference="panel", macro_f1=frame["macro_f1"] - 0.3 * (frame["method"] == "PCA"))
    how = {"reference": "R2MAE", "pair": ("set", "seed", "probe", "panel")}
    both = paired_differences(pd.concat([frame, other]), by="reference", **how)
    assert both["reference"].isna().tolist() == [True, True, False, False]
    pd.testing.assert_frame_equal(both.iloc[:2, 1:], paired_differences(frame, by=(), **how))
