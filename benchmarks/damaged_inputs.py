"""What becomes of files that were cut, scrambled or changed: read right, refused, or taken for
something that they are not?

python -m benchmarks.damaged_inputs [--n 10000] [--seed 0] [--formats NAME,NAME] [--json FILE]
[--resume] [--out FILE] | --case FORMAT:NUMBER [--keep FOLDER]

Small valid inputs of each format are written: cells (h5ad, zarr), genomes (FASTA, bgzip, the cache
of converted bases), variants (VCF, bgzip, what a killed run of scoring left), regions (BED), saved
models and training runs that were cut. In each case a copy is damaged: bytes are cut, flipped,
moved, repeated or zeroed, lines and fields are lost or swapped, values and types of arrays,
attributes and JSON are changed, and checkpoints are signed anew with nonsense in them. Then the
verbs are called on it, in a process of its own with a limit of time and memory. A result must agree
with what an independent reader makes of the same damaged file; damage that cannot be seen (another
base in a FASTA, another count) must give what the changed file says.

right: as the independent reader has it. refused by anndata: the file could not be opened, which
comes before any verb (nor, by HDF5, to be damaged once more). refused: an error of
r2mae_bio.errors. foreign: any other error, or the process died. wrong: a result that the
independent reader does not agree with. timeout: no answer in time. half-written: after an error, an
output, a temporary file or an entry of the AnnData was there that should not be. A case makes
several calls and counts as the worst of them; "needless" says in how many of the refused ones the
independent reader saw nothing wrong: mostly checkpoints signed anew, of which it cannot tell what
their values mean.

A case is a function of --seed, format and number alone: --case judges one of them again, and
--keep leaves its files. --resume leaves out what the JSON file holds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from benchmarks.command_line import table, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMATS = (
    "h5ad-csr", "h5ad-csc", "h5ad-dense", "zarr-csr", "zarr-dense", "fasta", "fasta-bgzip", "genome-cache", "vcf", "vcf-bgzip",
    "vcf-journal", "bed", "genemae", "dnamae", "cellclassifier", "sequenceclassifier", "genemae-run", "dnamae-run",
)  # fmt: skip
"""Those of :mod:`benchmarks.damage.worker`, which this process does not import."""
COLUMNS = ("right", "refused by anndata", "refused", "foreign", "wrong", "timeout")
START_SECONDS = 180
SECONDS = 20
"""Limit of one case; the slowest that end take two."""
SAVED_EVERY = 500
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class EndedError(Exception):
    """The worker gave no answer; the message says why."""


class Worker:
    """A process that judges cases of one format; one that dies or hangs is followed by another."""

    def __init__(self, name: str, seed: int, folder: Path) -> None:
        self._name, self._command = name, [sys.executable, "-m", "benchmarks.damage.worker", name, str(seed), str(folder)]
        self._process: Any = None

    def judge(self, number: int, seconds: float = SECONDS) -> dict[str, Any]:
        """What came of a case."""
        if self._process is None:
            self._start()
        self._stage = ""
        try:
            self._process.stdin.write(f"{number}\n".encode())
            self._process.stdin.flush()
            return self._answer(seconds)
        except (EndedError, BrokenPipeError) as error:
            how = f"{error} in {self._stage}"
            kind = (
                "refused by anndata" if self._stage in ("anndata", "damage") else "timeout" if "time" in str(error) else "foreign"
            )
            call = {"call": self._stage, "kind": kind, "detail": how, "left": "", "needless": False}
            self.end()
            return {"format": self._name, "case": number, "damage": "", "calls": [call]}

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        root = Path(__file__).resolve().parent.parent
        self._process = subprocess.Popen(self._command, cwd=root, env={**os.environ, **ONE_THREAD}, **pipes)
        self._rest = b""
        if "ready" not in self._answer(START_SECONDS):
            message = f"The worker of {self._name} did not begin."
            raise RuntimeError(message)

    def _answer(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            line, found, self._rest = self._rest.partition(b"\n")
            if not found:
                self._rest = line + self._read(deadline)
                continue
            answer: dict[str, Any] = json.loads(line)
            if "stage" not in answer:
                return answer
            self._stage = answer["stage"]

    def _read(self, deadline: float) -> bytes:
        stream = self._process.stdout
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            message = "out of time"
            raise EndedError(message)
        data = os.read(stream.fileno(), 1 << 16)
        if not data:
            message = f"the process died ({self._process.wait()})"
            raise EndedError(message)
        return data


def row_of(case: dict[str, Any], seed: int) -> dict[str, Any]:
    """A case as it is kept: its worst call, and what was said of all that were not right."""
    kind = max((call["kind"] for call in case["calls"]), key=COLUMNS.index)
    said = [
        f"{call['call']}: {call['kind']}, {call['detail']}" for call in case["calls"] if call["kind"] not in ("right", "refused")
    ]
    left = [f"{call['call']}: {call['left']}" for call in case["calls"] if call["left"]]
    needless = kind == "refused" and any(call["needless"] for call in case["calls"])
    place = {"format": case["format"], "case": case["case"], "seed": seed}
    return {**place, "damage": case["damage"], "kind": kind, "needless": needless, "said": said, "left": left}


def numbers(n: int, formats: Sequence[str]) -> dict[str, range]:
    """Which cases of each format make ``n`` in all."""
    share, more = divmod(n, len(formats))
    return {name: range(share + (i < more)) for i, name in enumerate(formats)}


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Judge what the file lacks; all rows."""
    path = options.json
    rows = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else []
    done = {(row["format"], row["case"], row["seed"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        for name, cases in numbers(options.n, options.formats).items():
            todo = [number for number in cases if (name, number, options.seed) not in done]
            started = time.perf_counter()
            with Worker(name, options.seed, Path(folder)) as worker:
                for i, number in enumerate(todo, 1):
                    rows.append(row_of(worker.judge(number, options.seconds), options.seed))
                    _show(rows[-1])
                    if path is not None and (i % SAVED_EVERY == 0 or i == len(todo)):
                        write(path, json.dumps(rows, indent=0))
            if todo:
                print(f"{name}: {len(todo)} cases, {(time.perf_counter() - started) / len(todo):.3f} s each", flush=True)
    return rows


def _show(row: dict[str, Any]) -> None:
    if row["kind"] in ("foreign", "wrong", "timeout") or row["left"]:
        print(f"{row['format']}:{row['case']} ({row['damage']}) {'; '.join(row['said'] + row['left'])}", flush=True)


def summary(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Cases of each format by what came of them, and of all."""
    frame = pd.DataFrame(rows)
    counts = pd.crosstab(frame["format"], frame["kind"]).reindex(columns=list(COLUMNS), fill_value=0)
    counts.insert(0, "tried", counts.sum(axis=1))
    by_format = frame.groupby("format")
    counts["half-written"] = by_format["left"].agg(lambda left: sum(map(bool, left)))
    counts["needless"] = by_format["needless"].sum()
    counts = counts.reindex([name for name in FORMATS if name in counts.index])
    counts.loc["all"] = counts.sum()
    return counts.astype(int)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, and what was not as it should be."""
    bad = [row for row in rows if row["kind"] in ("foreign", "wrong", "timeout") or row["left"]]
    lines = [f"- `{row['format']}:{row['case']}` ({row['damage']}): {'; '.join(row['said'] + row['left'])}" for row in bad]
    parts = [
        "# Damaged inputs",
        f"{len(rows):,} cases, seed {', '.join(str(seed) for seed in sorted({row['seed'] for row in rows}))}.",
        table(summary(rows).astype(str), "format"),
        "\n".join(lines) or "No case was foreign, wrong, out of time or half-written.",
    ]
    return "\n\n".join(parts) + "\n"


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def show_case(text: str, seed: int, kept: Path | None) -> None:
    """Judge one case in this process, and print all that is known of it."""
    from benchmarks.damage import worker

    name, _, number = text.partition(":")
    with _folder(kept) as folder:
        worker.quiet()
        made = worker.ready(name, folder / "intact")
        case = worker.run_case(made, name, int(number), seed, folder / "intact" / name, folder / "damaged")
    print(f"{text}, seed {seed}: {case['damage']}")
    for call in case["calls"]:
        print(f"- {call['call']}: {call['kind']}. {call['detail']} {call['left'] and 'LEFT ' + call['left']}")


def _main() -> None:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--n", type=int, default=10_000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--formats", type=lambda text: text.split(","), default=list(FORMATS))
    command.add_argument("--seconds", type=float, default=SECONDS)
    command.add_argument("--json", type=Path)
    command.add_argument("--resume", action="store_true")
    command.add_argument("--out", type=Path)
    command.add_argument("--case")
    command.add_argument("--keep", type=Path)
    options = command.parse_args()
    unknown = [name for name in (options.case.split(":")[:1] if options.case else options.formats) if name not in FORMATS]
    if unknown:
        command.error(f"unknown: {', '.join(unknown)}; formats are {', '.join(FORMATS)}")
    if options.case:
        show_case(options.case, options.seed, options.keep)
        return
    if options.json is not None and options.json.exists() and not options.resume:
        sys.exit(f"{options.json} exists; pass --resume to add to it, or name another file.")
    rows = run(options)
    print(summary(rows).to_string())
    if options.out is not None:
        write(options.out, markdown(rows))


if __name__ == "__main__":
    _main()
