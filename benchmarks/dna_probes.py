"""Does pretraining help to classify sequences? Floors, frozen and fine-tuned models beside published figures, test MCC over seeds.

python -m benchmarks.dna_probes --methods floors --json FILE        (linear instead of floors: without the small network, minutes)
python -m benchmarks.dna_probes --model FOLDER [--tasks tf_0,...] [--methods frozen,finetuned] [--seeds 3] --json FILE [--resume] [--out FILE]

A row is written after every task, method and seed; --resume leaves out what the file holds. --out alone writes the table again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.dna_probes_report import markdown
from r2mae_bio.evaluate._sequence_probe import floor_methods, model_methods, score_methods
from r2mae_bio.io import read_sequence_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio.evaluate._sequence_probe import SequenceMethod

TASKS = {
    **{
        name: f"gue/{name}"
        for name in ("tf_0", "tf_1", "tf_2", "mouse_0", "mouse_2", "mouse_4", "prom_core_notata", "prom_300_tata")
    },
    **{f"splice_korf {name}": f"splice_korf/{name}" for name in ("donor_ce", "acceptor_ce")},
}
METHODS = ("floors", "frozen", "finetuned")
LINEAR = "linear"
"""The floors that take seconds: all but the small network."""


class Results:
    """Rows by task, method, kind, seed and model; on disk whole or not at all."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            if not resume:
                sys.exit(f"{path} exists; pass --resume to add to it, or name another file.")
            self.rows = json.loads(path.read_text(encoding="utf-8"))["rows"]

    def has(self, task: str, method: SequenceMethod, seed: int, model: str) -> bool:
        wanted = (task, method.name, method.kind, seed, model)
        return any((r["task"], r["method"], r["kind"], r["seed"], r["model"]) == wanted for r in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        lines = ",\n".join(json.dumps(r) for r in self.rows)
        temporary.write_text(f'{{"rows": [\n{lines}\n]}}\n', encoding="utf-8")
        temporary.replace(self.path)


def methods_of(options: argparse.Namespace) -> tuple[list[SequenceMethod], str]:
    """What is to be run, and the checksum of the model."""
    kinds = {name.removesuffix("s") for name in options.methods}
    methods, checksum = [m for m in floor_methods() if "floors" in options.methods or not m.seeded], ""
    if LINEAR in kinds:
        kinds.add("floor")
    if options.model is not None:
        from r2mae_bio.model import DNAMAE

        model = DNAMAE.load(options.model)
        checksum = model.checksum()[:16]
        methods += model_methods({options.name: model}, finetune=True)
    return [m for m in methods if m.kind in kinds], checksum


def wanted(options: argparse.Namespace, methods: list[SequenceMethod]) -> Iterator[tuple[int, str, SequenceMethod]]:
    """Seeds outermost, so that a run that is stopped has something of every task."""
    for seed in range(options.seeds):
        for task in options.tasks:
            for method in methods:
                if method.seeded or seed == 0:
                    yield seed, task, method


def run(options: argparse.Namespace, results: Results) -> None:
    methods, checksum = methods_of(options)
    table, loaded = None, None
    for seed, task, method in wanted(options, methods):
        model = "" if method.kind == "floor" else checksum
        if results.has(task, method, seed, model):
            continue
        if loaded != task:
            table, loaded = read_sequence_table(options.data / "dna" / f"{TASKS[task]}.tsv.gz"), task
        for row in score_methods(table, [method], seed=seed):
            rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
            results.add({"task": task, "model": model, **rounded})
            print(
                f"{task:24} {method.kind:9} {method.name:26} seed {seed} MCC {100 * row['mcc']:6.2f}  {row['seconds']:7.1f} s",
                flush=True,
            )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a saved DNAMAE")
    parser.add_argument("--name", default="R2MAE", help="its name in the table")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")))
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument(
        "--methods",
        type=lambda text: text.split(","),
        default=list(METHODS),
        help="floors, or linear for the quick ones; frozen; finetuned",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--out", type=Path, help="markdown table")
    options = parser.parse_args(arguments)
    names = {name.split()[-1]: name for name in TASKS}
    options.tasks = [names.get(task, task) for task in options.tasks]
    foreign = [t for t in options.tasks if t not in TASKS] + [m for m in options.methods if m not in (*METHODS, LINEAR)]
    if foreign:
        parser.error(f"unknown: {', '.join(foreign)}; tasks are {', '.join(names)}, methods {', '.join((*METHODS, LINEAR))}")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    results = Results(options.json, resume=options.resume or options.out is not None)
    run(options, results)
    if options.out is not None:
        options.out.write_text(markdown(results.rows), encoding="utf-8")
    seconds = np.sum([row["seconds"] for row in results.rows])
    print(f"{len(results.rows)} rows, {seconds:.0f} s of work in all, {time.perf_counter() - start:.0f} s now")


if __name__ == "__main__":
    main()
