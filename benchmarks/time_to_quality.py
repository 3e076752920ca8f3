"""How long R2MAE trains until a probe reads cell types from it as well as from scVI, both on the
same cells in one process.

python -m benchmarks.time_to_quality --json FILE [--sets pancreas,pbmc_studies,kidney]
    [--seeds 3] [--threads 1] [--resume] [--out FILE]

scVI is trained with its defaults. R2MAE is trained anew for each number of steps, so that its
learning rate falls to the end every time; its seconds include the factor analysis that it starts
from, which is all it has at 0 steps. Macro-F1 is of the query cells with all genes. Rows are
written after each set, seed and run; --resume leaves out what the file holds. Seconds of computing
are those of the processor, summed over threads: they change less than the clock's when the machine
is busy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.command_line import execute, parser, refuse_unknown, table, write
from benchmarks.gene_sets import SETS, GeneSet, load
from benchmarks.ratio_laws import Ready, trained
from r2mae_bio import evaluate
from r2mae_bio.evaluate import MaskedAutoencoder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from r2mae_bio.evaluate import FittedEmbedder
    from r2mae_bio.evaluate.methods._embedder import SparseCounts

BUDGETS = (0, 25, 50, 100, 200, 400)
"""Optimiser steps of R2MAE."""
SCVI, R2MAE = "scVI", "R2MAE"
PROBES = {"linear": "linear", "knn": "kNN"}


def fitted(counts: SparseCounts, method: str, steps: int, seed: int, epochs: int | None = None) -> tuple[FittedEmbedder, float]:
    """A trained method, and its seconds of computing."""
    if method == R2MAE and steps:
        return trained(counts, "transformer", R2MAE, seed=seed, steps=steps)
    started = time.process_time()
    chosen = evaluate.SCVI(max_epochs=epochs) if method == SCVI else MaskedAutoencoder(R2MAE, trained=False)
    return chosen.fit(counts, seed=seed), time.process_time() - started


def warm_up(cells: GeneSet) -> None:
    """Import and compile what the first run would pay for."""
    few = cells.counts[cells.split.reference[:300]]
    few = few[np.asarray(few.sum(axis=1)).ravel() > 0]
    fitted(few, SCVI, 0, 0, epochs=1)
    fitted(few, R2MAE, 2, 0)


def one(cells: GeneSet, method: str, steps: int, seed: int, epochs: int | None) -> dict[str, Any]:
    """Train and score."""
    embedder, computing = fitted(cells.counts[cells.split.reference], method, steps, seed, epochs)
    f1 = evaluate.panel_transfer(
        [Ready(method, embedder)], cells.counts, cells.labels, split=cells.split, fractions=(1.0,), seeds=(seed,), on_result=None
    )
    row = {"set": cells.name, "seed": seed, "method": method, "steps": steps}
    row |= {"train_seconds": embedder.train_seconds, "cpu_seconds": computing}
    return row | dict(zip(f1["probe"], f1["macro_f1"], strict=True))


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    rows = pd.read_json(options.json).to_dict("records") if options.json.exists() else []
    done = {(row["set"], row["seed"], row["method"], row["steps"]) for row in rows}
    runs, warm = [(SCVI, 0), *((R2MAE, steps) for steps in options.budgets)], False
    for seed in range(options.seeds):
        for name in options.sets:
            todo = [(method, steps) for method, steps in runs if (name, seed, method, steps) not in done]
            cells = load(name, seed, data=options.data) if todo else None
            for method, steps in todo:
                if not warm:
                    warm_up(cells)
                    warm = True
                rows.append(one(cells, method, steps, seed, options.scvi_epochs))
                write(options.json, pd.DataFrame(rows).to_json(orient="records", indent=1))
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- report


def reached(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per set, seed and probe: the first number of steps that reaches scVI, if any, and how
    many times quicker it is.
    """
    rows = []
    for (name, seed), runs in frame.groupby(["set", "seed"], sort=False):
        scvi, ours = runs[runs["method"] == SCVI], runs[runs["method"] == R2MAE].sort_values("steps")
        if scvi.empty or ours.empty:
            continue
        rows += [{"set": name, "seed": seed, "probe": probe, **_first(scvi.iloc[0], ours, probe)} for probe in PROBES]
    return pd.DataFrame(rows)


def _first(scvi: pd.Series, ours: pd.DataFrame, probe: str) -> dict[str, Any]:
    found = {"scvi": scvi[probe], "scvi_seconds": scvi["train_seconds"], "best": ours[probe].max()}
    enough = ours[ours[probe] >= scvi[probe]]
    if enough.empty:
        return found | dict.fromkeys(("steps", "r2mae", "seconds", "ratio", "cpu_ratio"), np.nan)
    first = enough.iloc[0]
    ratios = {f"{to}ratio": scvi[column] / first[column] for to, column in (("", "train_seconds"), ("cpu_", "cpu_seconds"))}
    return found | {"steps": first["steps"], "r2mae": first[probe], "seconds": first["train_seconds"], **ratios}


def markdown(frame: pd.DataFrame) -> str:
    """When R2MAE reaches scVI, and macro-F1 at each number of steps."""
    found = reached(frame)
    parts = ["# Time to the quality of scVI", "Macro-F1 of query cells with all genes; trained side by side in one process.", ""]
    for probe, rows in found.groupby("probe", sort=False):
        there = rows.dropna(subset="ratio")
        text = f"scVI is reached in {len(there)} of {len(rows)} sets and seeds"
        if len(there):
            text += f", in the geometric mean {geometric(there['ratio']):.1f} times sooner ({geometric(there['cpu_ratio']):.1f} by computing)"
        parts += [f"## {PROBES[probe]} probe", "", f"{text}.", "", table(_texts(rows), "set"), ""]
    ours = frame[frame["method"] == R2MAE]
    steps = ours.groupby("steps")[["train_seconds", "cpu_seconds", *PROBES]].mean().map("{:.3f}".format)
    steps.columns = ["seconds", "of computing", *(f"{name} F1" for name in PROBES.values())]
    return "\n".join([*parts, "## R2MAE by steps", "", "Mean over sets and seeds:", "", table(steps, "steps"), ""])


def geometric(ratios: pd.Series) -> float:
    return float(np.exp(np.log(ratios).mean()))


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    def line(row: Any) -> list[str]:
        start = [f"{row.seed}", f"{row.scvi:.3f}", f"{row.scvi_seconds:.1f}"]
        if np.isnan(row.ratio):
            return [*start, "not reached", f"best {row.best:.3f}", "", "", ""]
        times = [f"{row.seconds:.1f}", f"{row.ratio:.1f}", f"{row.cpu_ratio:.1f}"]
        return [*start, f"{row.steps:.0f}", f"{row.r2mae:.3f}", *times]

    head = ["seed", "scVI F1", "scVI seconds", "first steps", "R2MAE F1", "R2MAE seconds", "times sooner", "by computing"]
    return pd.DataFrame([line(row) for row in rows.itertuples()], index=rows["set"], columns=head)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    command = parser(__doc__, ["pancreas", "pbmc_studies", "kidney"])
    command.add_argument("--budgets", type=lambda text: [int(t) for t in text.split(",")], default=list(BUDGETS))
    command.add_argument("--scvi-epochs", type=int, help="for a trial; the rule of scvi-tools if not given")
    options = command.parse_args(arguments)
    refuse_unknown(command, options, SETS)
    execute(options, run, markdown)


if __name__ == "__main__":
    main()
