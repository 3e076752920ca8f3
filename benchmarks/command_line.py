"""What benchmarks on sets, methods and seeds share: their options, files that appear whole, and
tables.

Such a benchmark adds rows to a JSON file as it goes, leaves out with --resume what the file holds,
and writes markdown at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd
import torch

from benchmarks.gene_sets import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

T = TypeVar("T")
"""What a benchmark prepares for a set and seed."""


def parser(
    description: str | None, sets: Sequence[str], methods: Sequence[str] | None = None, *, what: str = "sets"
) -> argparse.ArgumentParser:
    """The options that all have, with the sets and methods that are run if none are named; ``what``
    is the plural by which users know sets.
    """
    command = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument(f"--{what}", dest="sets", type=lambda text: text.split(","), default=list(sets))
    if methods is not None:
        text = f"separated by semicolons: {'; '.join(methods)}"
        command.add_argument("--methods", type=lambda text: text.split(";"), default=list(methods), help=text)
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--json", type=Path, required=True)
    command.add_argument("--resume", action="store_true")
    command.add_argument("--out", type=Path)
    return command


def refuse_unknown(
    command: argparse.ArgumentParser,
    options: argparse.Namespace,
    sets: Collection[str],
    methods: Collection[str] | None = None,
    *,
    what: str = "sets",
) -> None:
    """End the program if a set or method that was named does not exist."""
    unknown = [name for name in options.sets if name not in sets]
    known = f"{what} are {', '.join(sets)}"
    if methods is not None:
        unknown += [name for name in options.methods if name not in methods]
        known += f", methods {'; '.join(methods)}"
    if unknown:
        command.error(f"unknown: {', '.join(unknown)}; {known}")


def execute(
    options: argparse.Namespace, run: Callable[[argparse.Namespace], pd.DataFrame], markdown: Callable[[pd.DataFrame], str]
) -> None:
    """Run, and write the report that was asked for; end the program rather than add to a file that
    was not to be resumed.
    """
    if options.json.exists() and not options.resume:
        sys.exit(f"{options.json} exists; pass --resume to add to it, or name another file.")
    torch.set_num_threads(options.threads)
    frame = run(options)
    if options.out is not None:
        write(options.out, markdown(frame))


def run_methods(
    description: str | None,
    sets: Collection[str],
    methods: Sequence[str],
    run: Callable[[argparse.Namespace], pd.DataFrame],
    markdown: Callable[[pd.DataFrame], str],
    *,
    default_sets: Sequence[str] | None = None,
    default_methods: Sequence[str] | None = None,
    what: str = "sets",
) -> None:
    """A benchmark whose options are those that all have: methods on sets, all of either if none are
    the default.
    """
    command = parser(description, list(default_sets or sets), list(default_methods or methods), what=what)
    options = command.parse_args()
    refuse_unknown(command, options, sets, methods, what=what)
    execute(options, run, markdown)


def sweep(
    options: argparse.Namespace,
    methods: Sequence[str],
    prepare: Callable[[str, int], T],
    measure: Callable[[T, str, int], pd.DataFrame],
    show: Callable[[pd.DataFrame], str],
) -> pd.DataFrame:
    """Rows of every set, seed and method: what the file lacks is measured and added to it, one
    method after another.

    ``prepare`` takes set and seed; ``measure`` what it returned, the method and the seed; ``show``
    says in words what was measured.
    """
    frame = pd.read_json(options.json) if options.json.exists() else pd.DataFrame(columns=["set", "seed", "method"])
    done = set(zip(frame["set"], frame["seed"], frame["method"], strict=True))
    for seed in range(options.seeds):
        for name in options.sets:
            todo = [m for m in methods if m in options.methods and (name, seed, m) not in done]
            if not todo:
                continue
            prepared = prepare(name, seed)
            for method in todo:
                rows = measure(prepared, method, seed).assign(set=name, seed=seed, method=method)
                frame = pd.concat([frame, rows], ignore_index=True) if len(frame) else rows
                write(options.json, frame.to_json(orient="records", indent=1))
                print(f"{name}, seed {seed}, {method}\n{show(rows)}", flush=True)
    return frame


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def table(texts: pd.DataFrame, corner: str = "method") -> str:
    """A markdown table of texts."""
    head = [corner, *map(str, texts.columns)]
    lines = [head, ["---"] * len(head), *([str(name), *row] for name, row in zip(texts.index, texts.to_numpy(), strict=True))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
