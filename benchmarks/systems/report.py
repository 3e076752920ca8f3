"""What was found, in markdown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command_line import table
from benchmarks.systems.laws import LAWS, NAMES, REFERENCE, UNMASKED
from benchmarks.systems.summary import (
    ROW,
    agreement,
    best_fixed,
    conditions,
    gains,
    grouped,
    interval,
    of_best_fixed,
    predictions,
    reference,
    runs,
    wins,
)
from benchmarks.systems.system import HIGHER

TITLE = "# A random mask ratio in five systems\n"
TABLES = "\n## Run\n"
"""What stands between the title and this heading is written by hand and kept."""
OTHERS = tuple(name for name in NAMES if not name.startswith("fixed"))


def markdown(records: list[dict[str, Any]], earlier: str = "") -> str:
    """The whole report, below what was written by hand in an earlier one."""
    frame = runs(records)
    wide = grouped(frame)
    parts = [
        about(records, frame),
        "## The table\n\n" + main_table(wide, frame, records),
        "## Wins\n\n" + wins_table(wide, frame),
        f"## Gains against {REFERENCE}\n\n" + gains_table(wide, reference(wide)),
        "## Gains against the best fixed ratio\n\n" + gains_table(wide, of_best_fixed(wide)),
        "## Inputs\n\n" + inputs_table(records),
        "## All measures\n\n" + details(frame),
    ]
    head = earlier.partition(TABLES)[0] if TABLES in earlier else TITLE
    return head + TABLES + "\n" + "\n\n".join(parts) + "\n"


def about(records: list[dict[str, Any]], frame: pd.DataFrame) -> str:
    """Profile, seeds, and how many laws were run."""
    each = frame.drop_duplicates(["system", "network", "law", "seed"])
    lines = [f"- profile `{records[0]['profile']}`, equal steps; {each['seconds'].sum() / 60:.0f} minutes of computing"]
    for system, rows in each.groupby("system", sort=False):
        seeds = ", ".join(map(str, sorted(rows["seed"].unique())))
        laws = ", ".join(f"{network} {n}" for network, n in rows.groupby("network", sort=False)["law"].nunique().items())
        lines.append(f"- {system}, seeds {seeds}; laws run: {laws}{_sizes(records, str(system))}")
    return "\n".join(lines)


def _sizes(records: list[dict[str, Any]], system: str) -> str:
    found = next((r["about"] for r in records if r["kind"] == "whole" and r["system"] == system), {})
    return "".join(f"; {name} {value}" for name, value in found.items())


def main_table(wide: pd.DataFrame, frame: pd.DataFrame, records: list[dict[str, Any]]) -> str:
    """Means and spread by law, and what the theory says."""
    mean, spread = wide.groupby(level=ROW, sort=False).mean(), wide.groupby(level=ROW, sort=False).std()
    inputs = frame.drop_duplicates(["system", "network"]).set_index(["system", "network"])["inputs"]
    predicted, rows = predictions(records), {}
    for key in mean.index:
        higher = HIGHER in key[2]
        best = mean.loc[key].drop(UNMASKED, errors="ignore")
        best = best.max() if higher else best.min()
        cells = {law: _cell(mean.loc[key, law], spread.loc[key, law], best) for law in wide.columns}
        where = (key[0], inputs[key[:2]])
        agreed = {
            masks: agreement(mean.loc[key] * (-1 if higher else 1), predicted.loc[(*where, masks)].loc[conditions(key[2])].mean())
            for masks in ("one mask", "fresh masks")
        }
        cells["order, measured"] = agreed["one mask"]["measured"]
        for masks, found in agreed.items():
            cells[f"order, {masks}"] = f"{found['predicted']}; {found['fixed']:+.1f}, {found['all']:+.2f}"
        rows[" · ".join(key)] = cells
    note = (
        f"Mean over seeds, ± standard deviation; best law in bold ({UNMASKED}, another model, aside). F1 is the mean of a linear and a kNN "
        "probe on frozen representations of whole inputs (parts of speech: linear); losses are those of what is hidden, under the same "
        "masks for all laws, nats or squared errors. A dash: the network does not know the law, or it was not run. Orders are those of the fixed ratios, "
        "best first; behind a predicted one, its Spearman correlation with the measured one over the fixed ratios and over all laws."
    )
    return f"{note}\n\n{table(pd.DataFrame(rows).T, 'system · network · measure')}"


def _cell(mean: float, spread: float, best: float) -> str:
    if np.isnan(mean):
        return "-"
    text = f"**{mean:.3f}**" if mean == best else f"{mean:.3f}"
    return text if np.isnan(spread) else f"{text} ± {spread:.3f}"


def wins_table(wide: pd.DataFrame, frame: pd.DataFrame) -> str:
    """In how many rows of the table each law is better."""
    rows: dict[str, dict[str, str]] = {law: {} for law in wide.columns if law != UNMASKED}
    for name, against in ((REFERENCE, reference(wide)), ("best fixed", of_best_fixed(wide))):
        for kind, unit in ((HIGHER, "points of F1"), ("loss", "% of loss")):
            for law, found in wins(wide, against, kind).iterrows():
                if law in rows:
                    rows[str(law)][f"{kind} against {name}"] = (
                        f"{found['better']:.0f} of {found['rows']:.0f}; {found['gain']:+.2f} {unit}"
                    )
    seconds = frame.drop_duplicates(["system", "network", "law", "seed"]).pivot_table(
        index=["system", "network", "seed"], columns="law", values="seconds"
    )
    for law in rows:
        rows[law]["CPU time"] = f"{seconds[law].div(seconds[REFERENCE]).median():.2f}"
    note = (
        f"Rows of the table in which a law is better in the mean over seeds, and the median gain over the rows. The best fixed ratio is chosen for each "
        f"row in hindsight, so to equal it is good. CPU time of training and measuring, median of that of {REFERENCE}."
    )
    return f"{note}\n\n{table(pd.DataFrame(rows).T, 'law')}"


def gains_table(wide: pd.DataFrame, against: pd.Series) -> str:
    """Paired gains with intervals."""
    laws = [law for law in OTHERS if law in wide]
    mean, half = interval(gains(wide[laws], against))
    best = best_fixed(wide)
    rows = {}
    for key in mean.index:
        cells = {"best fixed": best[key].removeprefix("fixed ")}
        cells |= {law: _gain(mean.loc[key, law], half.loc[key, law]) for law in laws}
        rows[" · ".join(key)] = cells
    note = "Positive is better: points of F1, percent of a loss. ± is a 95% interval over seeds, paired; none with one seed."
    return f"{note}\n\n{table(pd.DataFrame(rows).T, 'system · network · measure')}"


def _gain(mean: float, half: float) -> str:
    if np.isnan(mean):
        return "-"
    return f"{mean:+.1f}" if np.isnan(half) else f"{mean:+.1f} ± {half:.1f}"


def inputs_table(records: list[dict[str, Any]]) -> str:
    """Spectra, and what is recommended."""
    rows = {}
    for r in records:
        if r["kind"] == "theory" and f"{r['system']} · {r['network']}" not in rows:
            laws = dict.fromkeys(
                f"U({low:g}, {high:g})"
                for low, high in (
                    o["auto"]
                    for o in records
                    if o["kind"] == "theory" and (o["system"], o["network"]) == (r["system"], r["network"])
                )
            )
            rows[f"{r['system']} · {r['network']}"] = {
                "rows n": str(r["n"]),
                "features d": str(r["d"]),
                "effective rank": f"{r['rank']:.1f}",
                "leading eigenvalues of the correlation": " ".join(f"{v:.3g}" for v in r["spectrum"][:8]),
                "auto, by seed": ", ".join(laws),
            }
    return f"Of the first seed.\n\n{table(pd.DataFrame(rows).T, 'input')}"


def details(frame: pd.DataFrame) -> str:
    """Means of every measure."""
    wide = frame.pivot_table(index=["system", "network", "measure"], columns="law", values="value", sort=False)
    wide = wide[[name for name in (*LAWS, "auto", UNMASKED) if name in wide]]
    texts = wide.map(lambda value: "-" if np.isnan(value) else f"{value:.3f}")
    texts.index = [" · ".join(key) for key in wide.index]
    return f"Means over seeds.\n\n{table(texts, 'system · network · measure')}"
