"""Does the linear theory's order of mask ratios hold for trained networks, and where does the best
ratio move with size?

python -m benchmarks.theory_networks [--quick] [--learners mlp cnn ...] [--data digits ...]
    [--seeds 3] [--resume] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.networks import data as sets
from benchmarks.networks import gene_mae, linear, network
from benchmarks.networks.masks import CONDITIONS, SETTINGS
from benchmarks.networks.predict import predictions
from benchmarks.networks.report import markdown
from benchmarks.networks.summary import GROUP, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.networks.data import Data
    from r2mae_bio.masking import RatioLaw


@dataclass(frozen=True)
class Case:
    """A learner on a data set."""

    learner: str
    data: str
    widths: tuple[int, ...] = (0,)
    steps: int = 0


MAKERS: dict[str, Callable[..., Data | None]] = {"digits": sets.digits, "pbmc68k": sets.pbmc68k, "zheng3500": sets.zheng}
SURROGATE = "_gaussian"
SETS = ("digits", "pbmc68k", "zheng3500", *(name + SURROGATE for name in ("pbmc68k", "zheng3500")))
"""The last two: Gaussian rows with the correlation of the genes."""
CASES = (
    *(Case(learner, data) for data in SETS for learner in ("linear_one_mask", "linear_fresh")),
    Case("mlp", "digits", (32, 256), 1500),
    Case("mlp_one_mask", "digits", (32, 256), 1500),
    Case("cnn", "digits", (8, 16), 800),
    Case("mlp", "pbmc68k", (32, 256), 1500),
    Case("genemae", "pbmc68k", (32, 64), 400),
    Case("genemae_early", "pbmc68k", (64,), 400),
    Case("mlp", "zheng3500", (32, 256), 1000),
    Case("genemae", "zheng3500", (32, 64), 300),
    Case("mlp", "pbmc68k_gaussian", (32, 256), 1500),
)
"""Width 0: a linear map has none. Steps are the same for all settings of a case."""
QUICK = {"digits": (60, 150), "pbmc68k": (60, 120), "zheng3500": (80, 200)}
LEARNERS = tuple(dict.fromkeys(case.learner for case in CASES))


def measure(case: Case, width: int, data: Data, n: int, seed: int, law: RatioLaw, *, steps: int) -> dict[str, float]:
    """Train once and test."""
    rows = data.training_rows(n, seed)
    if case.learner == "linear_one_mask":
        features = linear.scored_features(data, 64 if data.n_features < 100 else 32)
        return linear.errors(data, linear.one_mask(data, rows, law, seed, features=features), features)
    if case.learner == "linear_fresh":
        return linear.errors(data, linear.fresh_masks(data, rows, law), list(range(data.n_features)))
    options: dict[str, Any] = {"width": width, "steps": steps, "seed": seed}
    if case.learner.startswith("genemae"):
        return gene_mae.train(data, rows, law, early=case.learner.endswith("early"), **options)
    name, once = case.learner.removesuffix("_one_mask"), case.learner.endswith("_one_mask")
    return network.train(data, rows, law, learner=name, one_mask=once, **options)


class Run:
    """A run in progress; what is measured is written after every block of eight settings."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.start = options, time.perf_counter()
        name = "theory_networks_quick" if options.quick else "theory_networks_cpu"
        self.path = options.out / f"{name}.json"
        self.runs: list[dict[str, Any]] = []
        self.theory: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}
        self.seconds = 0.0
        if options.resume and self.path.exists():
            earlier = json.loads(self.path.read_text(encoding="utf-8"))
            self.runs, self.theory, self.seconds = earlier["runs"], earlier["theory"], earlier["seconds"]
        self.done = {tuple(r[k] for k in [*GROUP, "seed"]) for r in self.runs}
        self.predicted = {(r["data"], r["n"], r["seed"]) for r in self.theory}

    def everything(self) -> None:
        cases = [c for c in CASES if c.learner in self.options.learners and c.data in self.options.data]
        wanted = list(dict.fromkeys(c.data for c in cases if not (self.options.quick and c.data.startswith("zheng"))))
        data = {name: self._load(name) for name in wanted}
        for seed, name in product(range(self.options.seeds), wanted):
            held = data[name]
            if held is None:
                continue
            for n in held.sizes:
                self._predict(held, n, seed)
                for case, width in ((c, w) for c in cases if c.data == name for w in self._widths(c)):
                    self._block(case, width, held, n, seed)
                self.report()

    def _widths(self, case: Case) -> tuple[int, ...]:
        return case.widths[:1] if self.options.quick and case.learner.startswith("genemae") else case.widths

    def _load(self, name: str) -> Data | None:
        original = name.removesuffix(SURROGATE)
        small: dict[str, Any] = {"sizes": QUICK[original]} if self.options.quick else {}
        if self.options.quick and original != "digits":
            small["n_genes"] = 60
        data = MAKERS[original](**small)
        if name != original:
            data = sets.gaussian(data)
        if data is None:
            self._say(f"{name}: no file in the shared folder, left out")
        else:
            shape = f"{data.n_features} features, {len(data.test)} test rows, training rows {' and '.join(map(str, data.sizes))}"
            self.about[name] = shape
        return data

    def _predict(self, data: Data, n: int, seed: int) -> None:
        if (data.name, n, seed) not in self.predicted:
            self.theory += predictions(data, n, seed)

    def _block(self, case: Case, width: int, data: Data, n: int, seed: int) -> None:
        if (case.learner, data.name, width, n, seed) in self.done:
            return
        steps = min(case.steps, 12) if self.options.quick else round(case.steps * self.options.steps_factor)
        key = {"learner": case.learner, "data": data.name, "width": width, "n": n, "seed": seed}
        block, begun = [], time.process_time()
        for setting, law in SETTINGS.items():
            block.append({**key, "setting": setting, "steps": steps, **measure(case, width, data, n, seed, law, steps=steps)})
        self.runs += block
        seconds = time.process_time() - begun
        self.seconds += seconds
        self._say(f"seed {seed} {data.name} n={n} {case.learner} width {width}: {seconds:.1f} s of CPU")
        self.save()

    def save(self) -> None:
        """What is measured and predicted so far, one record a line."""
        self.options.out.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"about": self.about, "seconds": self.seconds})
        tables = (f'"{name}": [\n' + ",\n".join(map(_line, getattr(self, name))) + "\n]" for name in ("runs", "theory"))
        _replace(self.path, ",\n".join([head.removesuffix("}"), *tables]) + "}\n")

    def report(self) -> None:
        """Compare, and write the tables too."""
        steps = dict.fromkeys((r["learner"], r["data"], r["steps"]) for r in self.runs if r["steps"])
        self.about |= {
            "device": f"CPU, one thread; torch {torch.__version__}; {self.seconds:.0f} s of CPU time",
            "hidden in the test": ", ".join(f"{name} {share:.0%}" for name, share in CONDITIONS.items()),
            "optimiser steps, equal for all settings": ", ".join(f"{learner} on {data} {n}" for learner, data, n in steps),
        }
        self.save()
        comparison = compare(self.runs, self.theory)
        page = self.path.with_suffix(".md")
        earlier = page.read_text(encoding="utf-8") if page.exists() else ""
        _replace(page, markdown({"about": self.about, "comparison": comparison}, earlier))

    def _say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.start:6.0f} s] {text}", file=sys.stderr, flush=True)


def _line(record: dict[str, Any]) -> str:
    def plain(value: Any) -> Any:
        value = value.item() if hasattr(value, "item") else value
        return float(f"{value:.6g}") if isinstance(value, float) else value

    return json.dumps({key: plain(value) for key, value in record.items()}, allow_nan=False)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="toy sizes and steps, to see that it runs")
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    parser.add_argument("--data", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps-factor", type=float, default=1.0, help="multiplies the optimiser steps")
    parser.add_argument("--resume", action="store_true", help="keep the blocks that the results folder holds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.getLogger("r2mae_bio").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lbfgs failed to converge.*")
        run = Run(options)
        run.everything()
    return run.path


if __name__ == "__main__":
    main()
