"""The table of :mod:`benchmarks.dna_probes`: test MCC x 100, mean and standard deviation over
seeds, beside published figures.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from scipy import stats

PUBLISHED = {
    "tf_0": (66.84, 61.59, 66.64, 71.99),
    "tf_1": (70.14, 66.75, 70.28, 76.06),
    "tf_2": (61.03, 53.58, 58.72, 66.52),
    "mouse_0": (44.42, 31.04, 63.31, 56.76),
    "mouse_2": (71.44, 61.67, 71.52, 79.32),
    "mouse_4": (42.48, 29.27, 47.07, 52.66),
    "prom_core_notata": (70.47, 64.82, 71.58, 68.04),
    "prom_300_tata": (61.56, 78.07, 79.43, 71.59),
}
"""MCC x 100 on the same test rows, from the figure `Performance` of the DNABERT-2 repository."""
PUBLISHED_NAMES = ("DNABERT-6", "NT-500M-human", "NT-2.5B-multi", "DNABERT-2")
KIND_NAMES = {"frozen": "frozen", "finetuned": "fine-tuned", "finetuned_states": "fine-tuned, states alone"}
FIRST = "R2MAE"
"""The model that the others are compared with."""

Rows = list[dict[str, Any]]
Model = tuple[str, str, str, str]
"""Method, kind, checksum and settings."""


class Scores:
    """Test MCC x 100 by task, method, kind, checksum of the model, settings, and seed."""

    def __init__(self, rows: Rows) -> None:
        self.tasks = list(dict.fromkeys(row["task"] for row in rows))
        self.controls = list(dict.fromkeys(row["method"] for row in rows if row["kind"] == "floor"))
        fitted = [row for row in rows if row["kind"] != "floor"]
        self.models: list[Model] = list(dict.fromkeys((r["method"], r["kind"], r["model"], setting(r)) for r in fitted))
        self.of: dict[tuple[str, ...], dict[int, float]] = defaultdict(dict)
        for row in rows:
            self.of[row["task"], row["method"], row["kind"], row["model"], setting(row)][row["seed"]] = 100 * row["mcc"]

    def mean(self, task: str, *model: str) -> float:
        """Over seeds; not a number where there are none."""
        values = list(self.of[task, *model].values())
        return float(np.mean(values)) if values else float("nan")

    def best_control(self, task: str) -> tuple[float, str]:
        """Mean over seeds and name."""
        means = [(self.mean(task, name, "floor", "", ""), name) for name in self.controls]
        return max((m for m in means if np.isfinite(m[0])), default=(float("nan"), ""))

    def text(self, task: str, *model: str) -> str:
        """Mean and spread."""
        values = list(self.of[task, *model].values())
        if not values:
            return ""
        return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def markdown(rows: Rows) -> str:
    """Two tables, controls and models, and what is above what."""
    scores = Scores(rows)
    body = [[task, *(scores.text(task, name, "floor", "", "") for name in scores.controls)] for task in scores.tasks]
    shared = {row["task"]: (row["n_shared"], row["n_test"]) for row in rows}
    lines = [
        "Test MCC x 100; mean ± standard deviation over seeds where there are several.",
        "",
        "Floors, without pretraining:",
        "",
        *table(["task", *scores.controls], body),
        "",
        "Models beside the best floor and published figures (DNABERT-2's):",
        "",
        *models_table(scores),
        "",
        *above_controls(scores),
        *gains(scores),
        "",
        *settings_line(scores.models),
        "Test rows that are also train or dev rows, on either strand: "
        + ", ".join(f"{t} {n} of {m}" for t, (n, m) in shared.items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def models_table(scores: Scores) -> list[str]:
    """A row per task, and means."""
    several = len({model[3] for model in scores.models if model[1].startswith("finetuned")}) > 1
    titles = [
        ", ".join([name, KIND_NAMES[kind]] + [settings] * (several and bool(settings)))
        for name, kind, _, settings in scores.models
    ]
    body = []
    for task in scores.tasks:
        mean, name = scores.best_control(task)
        published = [f"{value:.2f}" for value in PUBLISHED.get(task, ())] or [""] * len(PUBLISHED_NAMES)
        best = f"{mean:.2f} ({name})" if name else ""
        body.append([task, best, *(scores.text(task, *model) for model in scores.models), *published])
    means = [np.mean([scores.best_control(task)[0] for task in scores.tasks])]
    means += [np.mean([scores.mean(task, *model) for task in scores.tasks]) for model in scores.models]
    body.append(["mean", *(f"{m:.2f}" if np.isfinite(m) else "" for m in means), *[""] * len(PUBLISHED_NAMES)])
    return table(["task", "best floor", *titles, *PUBLISHED_NAMES], body)


def above_controls(scores: Scores) -> list[str]:
    """In how many tasks the mean over seeds is above the best control."""
    lines = []
    for name, kind, *rest in scores.models:
        gaps = np.array([scores.mean(task, name, kind, *rest) - scores.best_control(task)[0] for task in scores.tasks])
        known = gaps[np.isfinite(gaps)]
        if known.size:
            lines.append(f"- {name}, {KIND_NAMES[kind]}: above the best floor in {(known > 0).sum()} of {known.size} tasks.")
    return lines


def gains(scores: Scores) -> list[str]:
    """What R2MAE's pretraining adds to random weights, and to another mask ratio, on the seeds that
    both have.
    """
    lines = []
    for own in scores.models:
        for other in scores.models:
            if own[0] == FIRST != other[0] and own[1::2] == other[1::2]:
                pairs = [(scores.of[task, *own], scores.of[task, *other]) for task in scores.tasks]
                lines += gain(f"{own[0]} over {other[0]}, {KIND_NAMES[own[1]]}", pairs)
    return lines


def gain(title: str, pairs: list[tuple[dict[int, float], dict[int, float]]]) -> list[str]:
    """Mean difference over tasks, with half the width of the 95% interval of a t distribution."""
    by_seed = [[own[seed] - other[seed] for seed in own.keys() & other.keys()] for own, other in pairs]
    differences = np.array([np.mean(values) for values in by_seed if values])
    if not differences.size:
        return []
    n_better = int((differences > 0).sum())
    half = stats.t.ppf(0.975, differences.size - 1) * stats.sem(differences) if differences.size > 1 else float("nan")
    return [f"- {title}: {differences.mean():+.2f} ± {half:.2f} over tasks, better in {n_better} of {differences.size}."]


def settings_line(models: list[Model]) -> list[str]:
    given = list(dict.fromkeys(settings or "defaults" for _, kind, _, settings in models if kind.startswith("finetuned")))
    return [f"Settings of fine-tuning: {'; '.join(given)}.", ""] if given else []


def setting(row: dict[str, Any]) -> str:
    """Settings that were not left to the defaults, in words."""
    return ", ".join(f"{name} {value:g}" for name, value in row.get("settings", {}).items())


def unique(rows: Rows) -> Rows:
    """Rows of several files without what occurs twice; the first one stays."""
    keys = ("task", "method", "kind", "seed", "model")
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        first.setdefault((*(row[key] for key in keys), setting(row)), row)
    return list(first.values())


def table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---", *["---:"] * (len(head) - 1)], *body]]
