"""Does pretraining help to classify sequences? Controls, frozen and fine-tuned models beside
published figures, test MCC over seeds.

    python -m benchmarks.dna_probes --methods floors --json FILE
    python -m benchmarks.dna_probes --model [NAME=]FOLDER [--model ...] [--only NAMES]
        [--tasks tf_0,...] [--methods frozen,finetuned] [--seeds 3] [--device cpu] [--steps N]
        [--learning-rate R] [--batch-size B] --json FILE [--json OTHER] [--resume] [--out FILE]

``floors`` are the controls; ``linear`` in their place leaves the small network out and takes
minutes. Rows are written after every task, method and seed; --resume leaves out what a file holds.
Several --json: the first is written to, the others are read, for --resume and for the table; so
two processes each write their own. --out with --methods "" writes the table alone. A fine-tuned
run has two rows, "finetuned" with the linear reading of k-mers and "finetuned_states" without.
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

from benchmarks.dna_probes_report import FIRST, markdown, setting, unique
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.evaluate.methods._sequence_methods import control_methods, model_methods
from r2mae_bio.evaluate.tasks._sequence_probe import score_methods
from r2mae_bio.io import SequenceTable, read_sequence_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from r2mae_bio.evaluate.methods._sequence_methods import SequenceMethod
    from r2mae_bio.model import DNAMAE

TASKS = {
    **{
        name: f"gue/{name}"
        for name in ("tf_0", "tf_1", "tf_2", "mouse_0", "mouse_2", "mouse_4", "prom_core_notata", "prom_300_tata")
    },
    **{f"splice_korf {name}": f"splice_korf/{name}" for name in ("donor_ce", "acceptor_ce")},
}
METHODS = ("floors", "frozen", "finetuned")
LINEAR = "linear"
"""The controls that take seconds: all but the small network."""


class Results:
    """Rows by task, method, kind, seed, checksum and settings; on disk whole or not at all. Other
    files are only read.
    """

    def __init__(self, path: Path, others: Sequence[Path], *, resume: bool) -> None:
        self.path = path
        if path.exists() and not resume:
            sys.exit(f"{path} exists; pass --resume to add to it, or name another file.")
        self.rows: list[dict[str, Any]] = read(path) if path.exists() else []
        self.others = [row for other in others for row in read(other)]

    @property
    def all(self) -> list[dict[str, Any]]:
        return unique([*self.rows, *self.others])

    def has(self, task: str, method: SequenceMethod, seed: int, model: str, settings: str) -> bool:
        wanted = (task, method.name, method.kind, seed, model, settings)
        return any((*(r[key] for key in ("task", "method", "kind", "seed", "model")), setting(r)) == wanted for r in self.all)

    def add(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        lines = ",\n".join(json.dumps(r) for r in self.rows)
        temporary.write_text(f'{{"rows": [\n{lines}\n]}}\n', encoding="utf-8")
        temporary.replace(self.path)


def read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What is not left to the defaults of FinetuneConfig."""
    given = {"n_steps": options.steps, "learning_rate": options.learning_rate, "batch_size": options.batch_size}
    return {name: value for name, value in given.items() if value is not None}


def methods_of(options: argparse.Namespace) -> tuple[list[SequenceMethod], dict[str, str]]:
    """What is to be run, and the checksum of each model; random weights have none."""
    kinds = {name.removesuffix("s") for name in options.methods}
    methods = [m for m in control_methods() if "floors" in options.methods or not m.seeded]
    if LINEAR in kinds:
        kinds.add("floor")
    models = load_models(options)
    methods += model_methods(models, finetune=True, config=FinetuneConfig(**settings_of(options)))
    chosen = [m for m in methods if m.kind in kinds and (options.only is None or m.name in options.only)]
    return chosen, {name: model.checksum()[:16] for name, model in models.items()}


def load_models(options: argparse.Namespace) -> dict[str, DNAMAE]:
    """Models by name, on the device."""
    from r2mae_bio.model import DNAMAE

    models = {}
    for given in options.model:
        name, _, folder = given.rpartition("=")
        models[name or FIRST] = DNAMAE.load(folder).to_device(options.device)
    return models


def wanted(options: argparse.Namespace, methods: list[SequenceMethod]) -> Iterator[tuple[int, str, SequenceMethod]]:
    """Seeds outermost, so that a run that is stopped has something of every task."""
    for seed in range(options.seeds):
        for task in options.tasks:
            for method in methods:
                if method.seeded or seed == 0:
                    yield seed, task, method


def run(options: argparse.Namespace, results: Results) -> None:
    methods, checksums = methods_of(options)
    tables: dict[str, SequenceTable] = {}  # kept, so that linear readings are fitted once per task and not once per seed
    settings = {"finetuned": settings_of(options)}
    for seed, task, method in wanted(options, methods):
        model = checksums.get(method.name, "")
        own = {"settings": settings[method.kind]} if settings.get(method.kind) else {}
        if results.has(task, method, seed, model, setting(own)):
            continue
        if task not in tables:
            tables[task] = read_sequence_table(options.data / "dna" / f"{TASKS[task]}.tsv.gz")
        rows = list(score_methods(tables[task], [method], seed=seed))
        results.add([{"task": task, "model": model, **own, **rounded(row)} for row in rows])
        for row in rows:
            print(
                f"{task:24} {row['kind']:16} {method.name:26} seed {seed} MCC {100 * row['mcc']:6.2f}  {row['seconds']:7.1f} s  "
                f"{row['chosen']}",
                flush=True,
            )


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], help="folder of a saved DNAMAE; NAME=FOLDER names it, else R2MAE")
    parser.add_argument("--only", type=lambda text: text.split(","), help="methods to run, by name")
    parser.add_argument("--device", default="cpu", help="of encoders; controls stay on the CPU")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")))
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument(
        "--methods",
        type=lambda text: [name for name in text.split(",") if name],
        default=list(METHODS),
        help="floors (the controls), or linear for the quick ones; frozen; finetuned",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of fine-tuning, instead of about six passes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--json", type=Path, action="append", required=True, help="again for files that are only read")
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
    results = Results(options.json[0], options.json[1:], resume=options.resume or options.out is not None)
    run(options, results)
    if options.out is not None:
        options.out.write_text(markdown(results.all), encoding="utf-8")
    seconds = np.sum([row["seconds"] for row in results.rows if row["kind"] != "finetuned_states"])  # the same run as "finetuned"
    print(f"{len(results.rows)} rows, {seconds:.0f} s of work in all, {time.perf_counter() - start:.0f} s now")


if __name__ == "__main__":
    main()
