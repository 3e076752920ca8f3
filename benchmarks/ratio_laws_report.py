"""What :mod:`benchmarks.ratio_laws` found, in markdown: means, ranks, paired differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.command_line import table

R2MAE = "R2MAE"
F1 = {"linear": "linear F1", "knn": "kNN F1"}
QUERY, VALIDATION = "nats", "validation nats"

GROUPS = ("F1, all genes", "F1, panels of 30% and less", "nats")
"""Averages of tasks, in which the laws are compared first."""


def markdown(frame: pd.DataFrame) -> str:
    """The whole report."""
    sets, seeds = frame["set"].unique(), frame["seed"].nunique()
    parts = [
        "# Laws of the mask ratio",
        f"{len(sets)} sets ({', '.join(sets)}), {seeds} seeds, {frame['budget'].iloc[0]} of training. At most 3,000 reference and 2,000 "
        "query cells of each set, drawn class by class. Macro-F1 of query cells of which a random panel of genes was measured; nats "
        "per hidden gene of query cells at each hidden share, under the same masks for all laws.",
        "",
        "Intervals are 95%, by Student's t over sets and seeds; seeds of one set share most of its cells.",
        "",
    ]
    for arm, rows in frame.groupby("arm", sort=False):
        parts += [f"## {arm}", "", *arm_parts(rows)]
    others = [arm for arm in frame["arm"].unique() if arm != "transformer"]
    return "\n".join(parts + [line for arm in others for line in against(frame, arm)])


def arm_parts(rows: pd.DataFrame) -> list[str]:
    """What one network says about the laws."""
    asked = rows[rows["task"] != VALIDATION]
    wide, grouped = by_what(asked, detail(asked)), by_what(asked, group(asked))
    if wide.empty:
        return ["No set and seed has rows of every law.", ""]
    ranked = ranks(asked)
    parts = [
        "Mean rank over sets, seeds and tasks, 1 is best, with its standard deviation over these:",
        "",
        table(ranked, "law"),
        "",
    ]
    parts += ["Mean:", "", table(means(grouped), "law"), "", table(means(wide), "law"), "", *costs(rows)]
    if R2MAE in wide.index:
        head = "R2MAE minus the law; above 0 in F1 and below 0 in nats, R2MAE is better:"
        parts += [head, "", *(table(summary(w.loc[R2MAE] - w.drop(R2MAE)), "law") + "\n" for w in (grouped, wide) if len(w) > 1)]
    return parts + best_fixed(asked) + tuned_uniform(rows)


# ---------------------------------------------------------------- tasks


def detail(rows: pd.DataFrame) -> pd.Series:
    """Task and condition in words."""
    return rows["task"] + " " + rows["condition"]


def group(rows: pd.DataFrame) -> pd.Series:
    """Which of :data:`GROUPS` a row belongs to."""
    score = np.where(rows["condition"] == "100%", *GROUPS[:2])
    return pd.Series(np.where(rows["task"].isin(F1.values()), score, GROUPS[2]), rows.index)


def by_what(rows: pd.DataFrame, what: pd.Series) -> pd.DataFrame:
    """Values by law, and by set, seed and what was asked; sets and seeds that some law lacks are
    left out.
    """
    columns = ["set", "seed", "what"]
    return rows.assign(what=what).pivot_table(index="law", columns=columns, values="value", sort=False).dropna(axis=1)


# ---------------------------------------------------------------- numbers


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean rank of each law and its spread, over everything and by task."""
    scores = rows.assign(value=rows["value"].where(rows["task"] == QUERY, -rows["value"]))
    columns = ["set", "seed", "task", "condition"]
    ranked = scores.pivot_table(index="law", columns=columns, values="value", sort=False).dropna(axis=1).rank()
    task = ranked.columns.get_level_values("task")
    found = {"all": spread(ranked), **{name: spread(ranked.loc[:, task == name]) for name in dict.fromkeys(task)}}
    return pd.DataFrame(found).loc[ranked.mean(axis=1).sort_values(kind="stable").index]


def spread(ranked: pd.DataFrame) -> pd.Series:
    return ranked.mean(axis=1).map("{:.2f}".format) + " ± " + ranked.std(axis=1).map("{:.2f}".format)


def means(wide: pd.DataFrame) -> pd.DataFrame:
    """Means over sets and seeds."""
    return texts(wide.T.groupby(level="what", sort=False).mean().T)


def summary(gap: pd.DataFrame) -> pd.DataFrame:
    """Mean differences and their 95% intervals, for each thing that was asked."""
    groups = gap.T.groupby(level="what", sort=False)
    number = groups.count().T
    half = stats.t.ppf(0.975, number - 1) * groups.std().T / number**0.5
    return texts(groups.mean().T, "+") + " ± " + texts(half)


def texts(numbers: pd.DataFrame, sign: str = "") -> pd.DataFrame:
    """Three decimals of an F1, four of nats."""
    return numbers.apply(lambda column: column.map(f"{{:{sign}.{4 if column.name.startswith(QUERY) else 3}f}}".format))


def costs(rows: pd.DataFrame) -> list[str]:
    """Steps and seconds of training, and what the theory recommended."""
    runs = rows.drop_duplicates(["set", "seed", "law"]).groupby("law", sort=False)
    found = runs[["steps", "train_seconds", "cpu_seconds"]].mean().map("{:.1f}".format)
    found.columns = ["steps", "seconds of training", "of which computing"]
    advised = rows.loc[rows["law"] == "auto"].drop_duplicates("set")
    text = [f"{name}: {ratios}" for name, ratios in zip(advised["set"], advised["ratios"], strict=True)]
    return [table(found, "law"), "", *(["First law of `auto` for each set: " + "; ".join(text) + ".", ""] if text else [])]


def best_fixed(rows: pd.DataFrame) -> list[str]:
    """The fixed ratio that a user who knew the labels of the query would have taken."""
    few = rows[rows["task"].isin(F1.values()) & (rows["condition"] != "100%")]
    wide = by_what(few, few["condition"])
    fixed = wide[wide.index.str.startswith("fixed")].T.groupby(level="what", sort=False).mean().T
    if fixed.empty:
        return []
    each = ", ".join(f"{law.removeprefix('fixed ')} at {panel}" for panel, law in fixed.idxmax().items())
    overall = fixed.mean(axis=1)
    return [f"Best fixed ratio on panels of 30% and less, both probes, in hindsight: {overall.idxmax()} ({each}).", ""]


def tuned_uniform(rows: pd.DataFrame) -> list[str]:
    """The uniform law that predicts the validation cells best, over all hidden shares; no label is
    needed to choose it.
    """
    uniform = rows[(rows["task"] == VALIDATION) & (rows["law"].str.startswith("uniform") | (rows["law"] == R2MAE))]
    wide = by_what(uniform, uniform["task"])
    if len(wide) < 2:
        return []
    each = wide.T.groupby(level="set", sort=False).mean().T
    mean = each.mean(axis=1).sort_values()
    order = ", ".join(f"{law} {value:.4f}" for law, value in mean.items())
    chosen = ", ".join(f"{name} {law}" for name, law in each.idxmin().items())
    return [f"Uniform laws by mean nats of validation cells over all hidden shares: {order}. Best for each set: {chosen}.", ""]


def against(frame: pd.DataFrame, other: str) -> list[str]:
    """Transformer minus another network under the same law, set and seed."""
    asked = frame[frame["task"] != VALIDATION]
    arms = [asked[asked["arm"] == arm] for arm in ("transformer", other)]
    parts = []
    for what in (group, detail):
        ours, theirs = (by_what(rows, what(rows)) for rows in arms)
        gap = (ours - theirs).dropna(how="all").dropna(axis=1)
        if gap.empty:
            return []
        parts += [table(pd.concat([summary(gap), summary(gap.mean().rename("all laws").to_frame().T)]), "law"), ""]
    head = "Under the same law; above 0 in F1 and below 0 in nats, the former is better:"
    return [f"## transformer minus {other}", "", head, "", *parts]
