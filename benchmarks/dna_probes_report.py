"""The table of dna_probes: test MCC x 100, mean and standard deviation over seeds, beside published figures."""

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


def markdown(rows: Rows) -> str:
    """Two tables, floors and models."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    floors = list(dict.fromkeys(row["method"] for row in rows if row["kind"] == "floor"))
    models = list(
        dict.fromkeys((row["method"], row["kind"], row["model"], setting(row)) for row in rows if row["kind"] != "floor")
    )
    scores: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows:
        scores[row["task"], row["method"], row["kind"], row["model"], setting(row)].append(100 * row["mcc"])
    lines = ["Test MCC x 100; mean ± standard deviation over seeds where there are several.", ""]
    lines += ["Floors, without pretraining:", ""]
    lines += table(["task", *floors], [[task, *(cell(scores[task, name, "floor", "", ""]) for name in floors)] for task in tasks])
    lines += ["", "Models beside the best floor and published figures (DNABERT-2's):", ""]
    several = len({model[3] for model in models if model[1].startswith("finetuned")}) > 1
    titles = [
        ", ".join([name, KIND_NAMES[kind]] + [settings] * (several and bool(settings))) for name, kind, _, settings in models
    ]
    body = []
    for task in tasks:
        means = [(np.mean(scores[task, name, "floor", "", ""]), name) for name in floors if scores[task, name, "floor", "", ""]]
        best = "{:.2f} ({})".format(*max(means)) if means else ""
        published = [f"{value:.2f}" for value in PUBLISHED.get(task, ())] or [""] * len(PUBLISHED_NAMES)
        body.append([task, best, *(cell(scores[task, *model]) for model in models), *published])
    lines += table(["task", "best floor", *titles, *PUBLISHED_NAMES], body)
    lines += ["", *gains(scores, models, tasks), *settings_line(models)]
    shared = {row["task"]: (row["n_shared"], row["n_test"]) for row in rows}
    lines += [
        "Test rows that are also train or dev rows, on either strand: "
        + ", ".join(f"{t} {n} of {m}" for t, (n, m) in shared.items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def gains(scores: dict[tuple[str, ...], list[float]], models: list[tuple[str, ...]], tasks: list[str]) -> list[str]:
    """What R2MAE's pretraining adds to random weights, and to another mask ratio."""
    lines = []
    for name, kind, checksum, settings in models:
        others = [m for m in models if m[0] != name and (m[1], m[3]) == (kind, settings)] if name == FIRST else []
        for other in others:
            pairs = [(scores[task, name, kind, checksum, settings], scores[task, *other]) for task in tasks]
            lines += gain(f"{name} over {other[0]}, {KIND_NAMES[kind]}", pairs)
    return [*lines, ""] if lines else []


def gain(title: str, pairs: list[tuple[list[float], list[float]]]) -> list[str]:
    """Mean difference over tasks that have both, with the 95% interval of a t distribution over tasks."""
    differences = np.array([np.mean(own) - np.mean(other) for own, other in pairs if own and other])
    if not differences.size:
        return []
    n_better = int((differences > 0).sum())
    half = stats.t.ppf(0.975, differences.size - 1) * stats.sem(differences) if differences.size > 1 else float("nan")
    return [f"- {title}: {differences.mean():+.2f} ± {half:.2f} over tasks, better in {n_better} of {differences.size}."]


def settings_line(models: list[tuple[str, ...]]) -> list[str]:
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


def cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def table(head: list[str], body: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---", *["---:"] * (len(head) - 1)], *body]]
