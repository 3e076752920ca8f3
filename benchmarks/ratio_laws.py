"""Laws of the mask ratio beside each other: macro-F1 on gene panels and nats of held-out genes, at
equal steps or equal wall time.

    python -m benchmarks.ratio_laws --json FILE [--sets pancreas,kidney,...] [--seeds 3]
        [--arms "mlp;..."] [--laws "R2MAE;..."] [--steps 300 | --seconds S] [--resume] [--out FILE]

Every run trains one network, without labels, on at most 3,000 reference cells, and is asked about
at most 2,000 query cells. Rows are written after each set, seed, arm and law; --resume leaves out
what the file holds. With --seconds, a short timing of each set, arm and law decides how many steps
fit; starting the network counts, waiting for the processor does not, and threads add up. --out
writes means, ranks and paired differences.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from benchmarks.command_line import execute, parser, write
from benchmarks.gene_sets import SETS, GeneSet, load
from benchmarks.ratio_laws_report import F1, QUERY, R2MAE, VALIDATION, markdown
from r2mae_bio import evaluate
from r2mae_bio._rng import derive_generator
from r2mae_bio._splits import split_cells
from r2mae_bio.core._training_step import MaskedTraining
from r2mae_bio.evaluate import MaskedAutoencoder, Split
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, masked_nll
from r2mae_bio.masking import Beta, Choice, Fixed, LogUniformVisible, RatioLaw, Schedule, Uniform, draw_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.evaluate import FittedGeneMAE
    from r2mae_bio.evaluate.methods._embedder import SparseCounts
    from r2mae_bio.model import GeneMAE

LAWS: dict[str, RatioLaw | str] = {
    R2MAE: Uniform(),
    "uniform .3 to .95": Uniform(0.3, 0.95),
    "uniform .5 to 1": Uniform(0.5, 1.0),
    "auto": "auto",
    "fixed .15": Fixed(0.15),
    "fixed .3": Fixed(0.3),
    "fixed .5": Fixed(0.5),
    "fixed .75": Fixed(0.75),
    "fixed .9": Fixed(0.9),
    "linear .9 to .15": Schedule(0.9, 0.15, "linear"),
    "cosine .9 to .15": Schedule(0.9, 0.15, "cosine"),
    "choice .25 .5 .75": Choice(),
    "beta 2 2": Beta(),
    "log-uniform visible": LogUniformVisible(),
}
"""By name; one draw for each row, where a law draws at all. ``auto`` is what the linear theory
recommends for the reference cells.
"""

DRAWN_PER_BATCH = (R2MAE, "choice .25 .5 .75", "beta 2 2")
SHARES = (0.15, 0.5, 0.7, 0.9, 0.97)
"""Hidden shares of the held-out loss."""
SIZES = (3000, 2000)
"""Most reference and query cells."""
BATCH_SIZE, TRAIN_SIZE = 128, 0.9


@dataclass(frozen=True)
class Arm:
    """A network and how its ratios are drawn."""

    model_kwargs: dict[str, Any]
    """Arguments of ``GeneMAE``."""
    scope: str = "row"
    """One ratio per row or per batch."""


ARMS = {
    "transformer": Arm({}),
    "transformer, random start": Arm({"start": "random"}),
    "mlp": Arm({"encoder": "mlp"}),
    "transformer, batch scope": Arm({}, "batch"),
}


def law_of(arm: str, name: str) -> RatioLaw | str | None:
    """The law in the scope of an arm, or None where that makes no sense."""
    law = LAWS[name]
    if ARMS[arm].scope == "row":
        return law
    return dataclasses.replace(law, scope="batch") if isinstance(law, RatioLaw) and name in DRAWN_PER_BATCH else None


# ---------------------------------------------------------------- cells


def thinned(cells: GeneSet, seed: int, sizes: tuple[int, int] = SIZES) -> GeneSet:
    """At most so many reference and query cells, class by class."""
    sides = [(cells.split.reference, sizes[0]), (cells.split.query, sizes[1])]
    reference, query = (_some(rows, cells.labels, size, seed, i) for i, (rows, size) in enumerate(sides))
    rows = np.concatenate([reference, query])
    split = Split(np.arange(len(reference)), np.arange(len(reference), len(rows)))
    return GeneSet(cells.name, cells.counts[rows], cells.labels[rows], cells.genes, split)


def _some(rows: np.ndarray, labels: np.ndarray, size: int, seed: int, side: int) -> np.ndarray:
    if len(rows) <= size:
        return rows
    generator = derive_generator(seed, "thinned", side)
    by_class = [generator.permutation(rows[labels[rows] == label]) for label in np.unique(labels[rows])]
    return np.sort(np.concatenate([members[: max(1, round(size * len(members) / len(rows)))] for members in by_class]))


# ---------------------------------------------------------------- one run


def trained(counts: SparseCounts, arm: str, name: str, *, seed: int, steps: int) -> tuple[FittedGeneMAE, float]:
    """Train for exactly so many steps, the last of which has the smallest learning rate; also the
    seconds of computing.
    """
    n_trained = len(split_cells(counts.shape[0], TRAIN_SIZE, seed)[0])
    epochs = -(-steps // -(-n_trained // BATCH_SIZE))
    settings = {"max_epochs": epochs, "max_steps": steps, "batch_size": BATCH_SIZE, "train_size": TRAIN_SIZE}
    settings |= {"limit_val_batches": 0, "accelerator": "cpu", "devices": 1}
    method = MaskedAutoencoder(name, law_of(arm, name), model_kwargs=ARMS[arm].model_kwargs, train_kwargs=settings)
    started = time.process_time()
    with patch.object(MaskedTraining, "total_steps", steps):  # else schedules would end with the epoch, after the last step
        fitted = method.fit(counts, seed=seed)
    return fitted, time.process_time() - started


def steps_within(seconds: float, counts: SparseCounts, arm: str, name: str, *, few: int = 2, more: int = 32) -> int:
    """Steps that fit, by the computing time of two short runs: the time it would take on a
    processor with nothing else to do.
    """
    short, long = (trained(counts, arm, name, seed=0, steps=n)[1] for n in (few, more))
    rate = (more - few) / max(long - short, 1e-9)
    return max(1, round(few + rate * (seconds - short)))


@torch.inference_mode()
def held_out_nats(model: GeneMAE, counts: SparseCounts, *, seed: int, shares: Sequence[float] = SHARES) -> dict[str, float]:
    """Nats per hidden gene at each hidden share, under masks that depend on seed, share and cells
    alone.
    """
    table, network = _table(model, counts), model._network().eval()
    likelihood = GENE_LIKELIHOODS[model.record.config.gene_likelihood]
    nats, hidden = np.zeros(len(shares)), np.zeros(len(shares))
    for number, (_, batch) in enumerate(table.batches()):
        n_rows = batch.context.shape[0]
        for i, share in enumerate(shares):
            generator = derive_generator(seed, "held-out mask", round(1000 * share), number)
            plan = draw_plan(batch.measured, np.full(n_rows, share), generator)
            params = network(batch.tokens().hide(plan), batch.context, None)
            nats[i] += float(masked_nll(likelihood, params, batch.rows, batch.genes, batch.values, plan.hidden).double().sum())
            hidden[i] += float(plan.hidden.sum())
    return {f"{share:.0%}": float(value) for share, value in zip(shares, nats / hidden, strict=True)}


def _table(model: GeneMAE, counts: SparseCounts) -> CellTable:
    """Cells as the model reads them, by the names that MaskedAutoencoder gave to genes."""
    adata = ad.AnnData(sparse.csr_matrix(counts), var=pd.DataFrame(index=[f"gene_{i}" for i in range(counts.shape[1])]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*embedded all the same.*")  # a query may hold cells without a count
        with model._cells(adata) as cells:
            return cells


@dataclass(frozen=True)
class Ready:
    """A method that was trained before."""

    name: str
    fitted: FittedGeneMAE

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedGeneMAE:
        return self.fitted


def scores(cells: GeneSet, fitted: FittedGeneMAE, *, seed: int) -> list[dict[str, Any]]:
    """Rows of task, condition and value."""
    method = Ready("ready", fitted)
    f1 = evaluate.panel_transfer([method], cells.counts, cells.labels, split=cells.split, seeds=(seed,), on_result=None)
    rows = [
        {"task": F1[probe], "condition": panel, "value": value}
        for probe, panel, value in zip(f1["probe"], f1["panel"], f1["macro_f1"], strict=True)
    ]
    reference = cells.counts[cells.split.reference]
    held_out = {
        VALIDATION: reference[split_cells(reference.shape[0], TRAIN_SIZE, seed)[1]],
        QUERY: cells.counts[cells.split.query],
    }
    for task, counts in held_out.items():
        nats = held_out_nats(fitted.model, counts, seed=seed)
        rows += [{"task": task, "condition": share, "value": value} for share, value in nats.items()]
    return rows


# ---------------------------------------------------------------- all runs


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    columns = [
        "set",
        "seed",
        "arm",
        "law",
        "task",
        "condition",
        "value",
        "budget",
        "steps",
        "train_seconds",
        "cpu_seconds",
        "ratios",
    ]
    frame = pd.read_json(options.json) if options.json.exists() else pd.DataFrame(columns=columns)
    budget = f"{options.steps} steps" if options.seconds is None else f"{options.seconds:g} s"
    if len(frame) and set(frame["budget"]) != {budget}:
        sys.exit(f"{options.json} holds runs of {', '.join(frame['budget'].unique())}, not of {budget}; name another file.")
    done = set(zip(frame["set"], frame["seed"], frame["arm"], frame["law"], strict=True))
    pairs = [(a, law) for a in options.arms for law in options.laws if law_of(a, law) is not None]
    for seed in range(options.seeds):
        for name in options.sets:
            todo = [(a, law) for a, law in pairs if (name, seed, a, law) not in done]
            cells = thinned(load(name, seed, data=options.data), seed) if todo else None
            for arm, law in todo:
                rows = one(cells, arm, law, seed, steps=steps_of(frame, cells, arm, law, options))
                key = {"set": name, "seed": seed, "arm": arm, "law": law, "budget": budget}
                added = pd.DataFrame(rows).assign(**key)[columns]
                frame = pd.concat([frame, added], ignore_index=True) if len(frame) else added
                write(options.json, frame.to_json(orient="records", indent=1))
    return frame


def steps_of(frame: pd.DataFrame, cells: GeneSet, arm: str, law: str, options: argparse.Namespace) -> int:
    """The number asked for, or what an earlier seed was given, or what fits in the time."""
    if options.seconds is None:
        return options.steps
    earlier = frame.loc[(frame["set"] == cells.name) & (frame["arm"] == arm) & (frame["law"] == law), "steps"]
    return int(earlier.iloc[0]) if len(earlier) else steps_within(options.seconds, cells.counts[cells.split.reference], arm, law)


def one(cells: GeneSet, arm: str, law: str, seed: int, *, steps: int) -> list[dict[str, Any]]:
    """Train once, ask everything."""
    started = time.perf_counter()
    fitted, computing = trained(cells.counts[cells.split.reference], arm, law, seed=seed, steps=steps)
    rows = scores(cells, fitted, seed=seed)
    ratios = json.dumps(fitted.model.mask_ratio.to_json())
    shown = [f"{row['value']:.3f}" for row in rows]
    seconds = f"{fitted.train_seconds:.1f} of {time.perf_counter() - started:.1f} s"
    print(f"{cells.name}, seed {seed}, {arm}, {law}: {steps} steps, {seconds}: {' '.join(shown)}", flush=True)
    cost = {"steps": steps, "train_seconds": fitted.train_seconds, "cpu_seconds": computing, "ratios": ratios}
    return [{**row, **cost} for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    command = parser(__doc__, ["pbmc_sorted", "pancreas", "kidney", "bladder", "brain"])
    for option, names in (("--arms", list(ARMS)), ("--laws", list(LAWS))):
        text = f"separated by semicolons: {'; '.join(names)}"
        command.add_argument(option, type=lambda text: [t.strip() for t in text.split(";")], default=names, help=text)
    budget = command.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, default=300, help="optimiser steps of every run")
    budget.add_argument("--seconds", type=float, help="seconds of training of every run, instead of steps")
    options = command.parse_args(arguments)
    for asked, known in ((options.sets, SETS), (options.arms, ARMS), (options.laws, LAWS)):
        unknown = [name for name in asked if name not in known]
        if unknown:
            command.error(f"unknown: {'; '.join(unknown)}; known are {'; '.join(known)}")
    execute(options, run, markdown)


if __name__ == "__main__":
    main()
