"""The comparison as markdown tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.networks.predict import VARIANTS
from benchmarks.networks.summary import GROUP, NAMES, direction, movements, random_cost

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN = ("one mask", "one mask, ridge", "fresh masks")
FAILED = 0.5
"""A mean rank correlation below this counts as a failure of the predicted order."""
TITLE = "# Does the linear theory order mask ratios as trained networks do?\n"
TABLES = "\n## Run\n"
"""What stands between the title and this heading is written by hand and kept when the tables are
written anew.
"""


def markdown(result: dict[str, Any], earlier: str = "") -> str:
    """All tables, below what was written by hand in an earlier page."""
    records = result["comparison"]
    about = "\n".join(f"- {key}: {value}" for key, value in result["about"].items())
    parts = [
        about,
        "## Agreement by learner\n\n" + _agreement(records),
        "## Best settings\n\n" + _best(records, ("full", "panel")),
        "## Where the best fixed ratio moves\n\n" + _moves(records),
        "## Measured means\n\n" + _means(records),
        "## Predicted means\n\n" + _predicted(records),
        "## A random ratio against the best fixed one\n\n" + _random(records),
        "## Orders\n\n" + _orders(records),
    ]
    if any(r["measure"].startswith("wrong") for r in records):
        wrong = _best(records, ("wrong_full", "wrong_panel"))
        parts.append("## Cell types read by a linear probe (share of wrong labels)\n\n" + wrong)
    by_hand = earlier.partition(TABLES)[0] if TABLES in earlier else TITLE
    return by_hand + TABLES + "\n" + "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _agreement(records: list[dict[str, Any]]) -> str:
    """Over widths and n: rank correlation (mean, smallest) and the mean cost of following each
    variant.
    """
    rows = []
    for key in dict.fromkeys((r["learner"], r["data"], r["measure"]) for r in records):
        group = [r for r in records if (r["learner"], r["data"], r["measure"]) == key]
        cells = []
        for variant in VARIANTS:
            agreed = [r["theory"][variant] for r in group]
            rho, fixed = ([a[f"rank_correlation{x}"] for a in agreed] for x in ("", "_fixed"))
            failed, cost = sum(x < FAILED for x in rho), np.mean([a["cost"] for a in agreed])
            cells.append(f"{np.mean(rho):+.2f} ({min(rho):+.2f}; {failed}/{len(rho)}); {np.mean(fixed):+.2f}; {cost:.1%}")
        rows.append([*key, *cells])
    note = (
        f"Spearman correlation over the eight settings, mean over widths and sizes (smallest; cases below {FAILED}); the same over the five "
        "fixed ratios; mean cost of using the predicted best setting instead of the measured best."
    )
    return f"{note}\n\n{_table(['learner', 'data', 'measure', *VARIANTS], rows)}"


def _best(records: list[dict[str, Any]], measures: tuple[str, ...]) -> str:
    rows = []
    for r in records:
        if r["measure"] not in measures:
            continue
        best = r["best"] + (f" (~ {', '.join(r['close'])})" if r["close"] else "")
        theory = [_predicted_best(r["theory"][variant]) for variant in SHOWN]
        rows.append([*(str(r[k]) for k in GROUP), r["measure"], best, *theory])
    note = "Measured best (settings within 1% of it); predicted best, rank correlation mean ± spread over seeds, cost of following it."
    return f"{note}\n\n{_table([*GROUP, 'measure', 'best measured', *SHOWN], rows)}"


def _predicted_best(agreement: dict[str, Any]) -> str:
    rho, sd = agreement["rank_correlation"], agreement["rank_correlation_sd"]
    return f"{agreement['best']}; {rho:+.2f} ± {sd:.2f}; {agreement['cost']:.1%}"


def _moves(records: list[dict[str, Any]]) -> str:
    parts = []
    for along in ("width", "n"):
        moves = [m for m in movements(records, along) if m[along][0] != m[along][1]]
        if not moves:
            continue
        rows = []
        for m in moves:
            where = [str(m[k]) for k in GROUP if k != along]
            theory = [f"{a} to {b}" if a != b else f"{a}" for a, b in (m["theory"][v] for v in SHOWN)]
            moved = f"{direction(m['from'], m['to'], m['staying'])} ({m['staying']:.1%})"
            rows.append([*where, m["measure"], f"{m['from']} to {m['to']}", moved, *theory])
        counts = {
            measure: Counter(direction(m["from"], m["to"], m["staying"]) for m in moves if m["measure"] == measure)
            for measure in ("full", "panel")
        }
        said = "; ".join(f"{name}: " + ", ".join(f"{n} {d}" for d, n in sorted(c.items())) for name, c in counts.items())
        head = [*(k for k in GROUP if k != along), "measure", "measured", "moves (cost of staying)", *SHOWN]
        parts.append(
            f"From the smaller to the larger {along} ({said}); flat: changed, but staying costs less than 1%.\n\n{_table(head, rows)}"
        )
    return "\n\n".join(parts)


def _means(records: list[dict[str, Any]]) -> str:
    rows = [
        [
            *(str(r[k]) for k in GROUP),
            r["measure"],
            *(
                f"{'**' * (s == r['best'])}{_number(r['mean'][s])}{'**' * (s == r['best'])} ± {r['paired_error'][s]:.3f}"
                for s in NAMES
            ),
        ]
        for r in records
        if not r["measure"].endswith("_early")
    ]
    note = "± is the standard error over seeds of the difference to the mean over settings."
    return f"{note}\n\n{_table([*GROUP, 'measure', *NAMES], rows)}"


def _predicted(records: list[dict[str, Any]]) -> str:
    rows, seen = [], set()
    for r in records:
        key = (r["data"], str(r["n"]), r["measure"])
        if r["measure"] in ("full", "panel") and key not in seen:
            seen.add(key)
            rows += [[*key, v, *(_number(r["theory"][v]["mean"][s]) for s in NAMES)] for v in VARIANTS]
    note = "Mean squared error of a hidden standardised feature; a dash marks settings on the interpolation peak."
    return f"{note}\n\n{_table(['data', 'n', 'measure', 'variant', *NAMES], rows)}"


def _orders(records: list[dict[str, Any]]) -> str:
    compared = ("one mask", "fresh masks")
    rows = []
    for r in records:
        if r["measure"] in ("full", "panel"):
            orders = [r["order"], *(r["theory"][v]["order"] for v in compared)]
            rows.append(
                [*(str(r[k]) for k in GROUP), r["measure"], *("/".join(str(o.index(s) + 1) for o in orders) for s in NAMES)]
            )
    note = f"Rank of each setting, 1 the best: measured / {' / '.join(compared)}."
    return f"{note}\n\n{_table([*GROUP, 'measure', *NAMES], rows)}"


def _random(records: list[dict[str, Any]]) -> str:
    rows = []
    for r in records:
        if r["measure"] in ("full", "panel"):
            means = [r["mean"], *(r["theory"][v]["mean"] for v in SHOWN)]
            costs = [random_cost(m) for m in means]
            shown = ("-" if c is None else f"{c:+.1%}" for c in costs)
            rows.append([*(str(r[k]) for k in GROUP), r["measure"], *shown])
    note = "Error at U(0,1) relative to that at the best fixed ratio, measured and predicted; for `genemae` the measured one is in nats."
    return f"{note}\n\n{_table([*GROUP, 'measure', 'measured', *SHOWN], rows)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.3g}"
