"""Results as tables of numbers: measures in groups, paired gains, and order by theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.systems.laws import FIXED, LAWS, NAMES, RATIOS, REFERENCE
from benchmarks.systems.system import HIGHER

ROW = ["system", "network", "what"]
"""What a row of the table is."""
_LOSSES = {"15%": "loss, 15% hidden", "90%": "loss, 90% hidden"}
OVERALL = "loss, mean of 15 to 90%"
"""Mean over all ratios at which losses were asked."""
TESTS = [f"{ratio:.0%}" for ratio in RATIOS]


def runs(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row for each system, network, law, seed and measure."""
    rows = [
        {**{key: r[key] for key in ("system", "network", "inputs", "law", "seed", "seconds")}, "measure": measure, "value": value}
        for r in records
        if r["kind"] == "run"
        for measure, value in r["measured"].items()
    ]
    return pd.DataFrame(rows)


def group(measure: str) -> str | None:
    """The row of the table in which a measure is averaged; None for those that stand in the details
    alone.
    """
    if HIGHER not in measure:
        return _LOSSES.get(measure.split()[-1])
    if "of genes" in measure:
        return "F1, all genes" if measure.startswith("100%") else "F1, panels of 30, 10, 3%"
    return measure.replace("linear ", "").replace("kNN ", "")


def conditions(what: str) -> list[str]:
    """How inputs are masked where this is measured, by the names that the theory has for it."""
    if what == OVERALL:
        return TESTS
    if what.startswith("loss"):
        return [what.split()[1]]
    return ["90%" if "panels" in what else "whole"]


def grouped(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over the measures of a group: rows (system, network, what, seed), columns the laws."""
    losses = frame[~frame["measure"].str.contains(HIGHER) & frame["measure"].str.split().str[-1].isin(TESTS)]
    named = pd.concat([frame.assign(what=frame["measure"].map(group)).dropna(subset="what"), losses.assign(what=OVERALL)])
    places = (
        frame.drop_duplicates(["system", "network"])
        .reset_index(drop=True)
        .reset_index()
        .set_index(["system", "network"])["index"]
    )
    named = named.iloc[np.argsort([places[key] for key in zip(named["system"], named["network"], strict=True)], kind="stable")]
    wide = named.pivot_table(index=[*ROW, "seed"], columns="law", values="value", sort=False)
    return wide.reindex(columns=[name for name in NAMES if name in wide.columns])


def gains(wide: pd.DataFrame, against: pd.Series) -> pd.DataFrame:
    """By how much each law is better, positive is better: points of F1, and percent of a loss."""
    higher = wide.index.get_level_values("what").str.contains(HIGHER)
    difference = wide.sub(against, axis=0) * 100
    relative = -difference.div(against, axis=0)
    return difference.where(pd.Series(higher, wide.index), relative)


def best_fixed(wide: pd.DataFrame) -> pd.Series:
    """Name of the fixed ratio that is best in the mean over seeds, in hindsight, for every (system,
    network, what).
    """
    mean = wide[[name for name in FIXED if name in wide]].groupby(level=ROW, sort=False).mean()
    higher = mean.index.get_level_values("what").str.contains(HIGHER)
    signed = mean.mul(np.where(higher, 1, -1), axis=0)
    return signed.idxmax(axis=1)


def of_best_fixed(wide: pd.DataFrame) -> pd.Series:
    """Values of the best fixed ratio, seed by seed."""
    best = best_fixed(wide)
    return pd.Series([row[best[key[:-1]]] for key, row in wide.iterrows()], wide.index)


def interval(paired: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean over seeds, and half of its 95% interval by Student's t; NaN for one seed."""
    rows = paired.groupby(level=ROW, sort=False)
    number = rows.count()
    half = stats.t.ppf(0.975, (number - 1).clip(lower=1)) * rows.std() / number**0.5
    return rows.mean(), half.where(number > 1)


def predictions(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Predicted errors, means over seeds: rows (system, inputs, masks, test), columns the laws."""
    rows = [
        {"system": r["system"], "inputs": r["network"], "masks": masks, "test": test, "law": law, "error": error}
        for r in records
        if r["kind"] == "theory"
        for masks, laws in r["predicted"].items()
        for law, tests in laws.items()
        for test, error in tests.items()
    ]
    return pd.DataFrame(rows).pivot_table(index=["system", "inputs", "masks", "test"], columns="law", values="error")[list(LAWS)]


def without_scope(errors: pd.Series) -> pd.Series:
    """Means over the scopes of a law, which the theory does not tell apart."""
    names = [name.removesuffix(" batch").removesuffix(" row").removesuffix(" rectangle") for name in errors.index]
    return errors.groupby(names, sort=False).mean()


def agreement(measured: pd.Series, predicted: pd.Series) -> dict[str, Any]:
    """Orders of the fixed ratios, best first, and Spearman correlations over these and over all
    laws.

    Parameters
    ----------
    measured, predicted
        Losses by law; laws that were not measured are NaN.
    """
    known = measured.dropna().index.intersection(predicted.index)
    fixed = [name for name in FIXED if name in known]
    one, other = without_scope(measured[known]), without_scope(predicted[known])
    return {
        "measured": order(measured[fixed]),
        "predicted": order(predicted[fixed]),
        "fixed": spearman(measured[fixed], predicted[fixed]),
        "all": spearman(one, other[one.index]),
    }


def order(losses: pd.Series) -> str:
    """Ratios from the smallest loss to the largest."""
    return " ".join(name.removeprefix("fixed ") for name in losses.sort_values(kind="stable").index)


def spearman(a: pd.Series, b: pd.Series) -> float:
    """NaN where one of them is constant or there are fewer than three values."""
    if len(a) < 3 or a.nunique() < 2 or b.nunique() < 2:
        return float("nan")
    return float(stats.spearmanr(a, b).statistic)


def wins(wide: pd.DataFrame, against: pd.Series, kind: str) -> pd.DataFrame:
    """For each law: in how many rows of a kind it is better in the mean over seeds, and the median
    gain over these rows: at the peak of double descent means say nothing.
    """
    mean = gains(wide, against).groupby(level=ROW, sort=False).mean()
    rows = mean[mean.index.get_level_values("what").str.contains(HIGHER) == (kind == HIGHER)]
    return pd.DataFrame({"better": (rows > 0).sum(), "rows": rows.notna().sum(), "gain": rows.median()})


def reference(wide: pd.DataFrame) -> pd.Series:
    """Values of the ratio that is common."""
    return wide[REFERENCE]
