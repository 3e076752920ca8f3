"""Random windows of a genome: r2mae_bio.io.Genome beside pyfaidx, bgzip readers and SeqIO.index, in
one process, as ratios.

python -m benchmarks.genome_io [--data DIR] [--windows 20000] [--repeats 5] [--report PATH]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.genome_readers import BATCH, LENGTH, Files, as_rows, draw, expected, genomes, in_batches, readers
from r2mae_bio._rng import derive_generator
from r2mae_bio.io import Genome, encode_bases, soft_mask

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS, CHECKED = 4, 200_000
SHARE = {"SeqIO.index": 3e-4, "pyfaidx bgzip": 0.05, "Bio.bgzf": 0.05}  # share of the windows that is measured
BARS = {"pyfaidx plain, as_raw": 5, "pyfaidx plain": 5, "pyfaidx bgzip": 20, "Bio.bgzf": 20}
BASES_PER_SECOND = 15e6


def compare_readers(files: Files, genome: Genome, n: int, repeats: int) -> dict[str, list[float]]:
    """Microseconds per window of every reader; each repeat has new windows, the same for all, and
    all are compared with the truth.
    """
    with ExitStack() as stack:
        return _compare(files, readers(files, genome, stack), n, repeats)


def _compare(files: Files, opened: dict[str, Callable], n: int, repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in opened}
    for repeat in range(repeats + 1):  # the first is a warm-up
        contig, start = draw(files, n, seed=repeat)
        truth = expected(files, contig, start)
        for name, read in opened.items():
            m = max(int(n * SHARE.get(name, 1)), 3)
            begin = time.perf_counter()
            found = read(contig[:m], start[:m])
            seconds[name].append(1e6 * (time.perf_counter() - begin) / m)
            if not np.array_equal(as_rows(found), truth[:m]):
                raise SystemExit(f"{name} read wrong bases")
    return {name: values[1:] for name, values in seconds.items()}


# ---------------------------------------------------------------- a whole training batch


class TrainingBatches:
    """Random windows on a random strand as codes, with the weight of every base and, if wanted, a
    mask plan.
    """

    stages = ("positions", "gather and strand", "codes", "weights", "mask plan")

    def __init__(self, genome: Genome, *, plan: bool) -> None:
        self._genome, self._plan = genome, plan
        self._room = np.maximum(genome.lengths - LENGTH + 1, 0)
        self._ends = np.cumsum(self._room)
        self._weights = np.array([1.0, 0.1], np.float32)
        self.seconds = dict.fromkeys(self.stages, 0.0)
        if plan:
            import torch

            from r2mae_bio.masking import Uniform, draw_plan

            torch.set_num_threads(1)
            self._ratios, self._draw_plan, self._tensor = Uniform(), draw_plan, torch.from_numpy

    def positions(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = rng.integers(0, self._ends[-1], BATCH)
        contig = np.searchsorted(self._ends, position, side="right")
        return contig, position - (self._ends - self._room)[contig], rng.random(BATCH) < 0.5

    def mask(self, codes: np.ndarray, rng: np.random.Generator) -> None:
        valid = codes < 4
        valid = valid[valid.sum(1) >= 2]  # windows of N alone have nothing to hide
        self._draw_plan(self._tensor(valid), self._ratios.sample(len(valid), rng), rng)

    def step(self, rng: np.random.Generator) -> None:
        clock = [time.perf_counter()]
        contig, start, reverse = self.positions(rng)
        clock.append(time.perf_counter())
        rows = self._genome.windows(start, LENGTH, contigs=contig, reverse=reverse)
        clock.append(time.perf_counter())
        codes = encode_bases(rows)
        clock.append(time.perf_counter())
        np.take(self._weights, soft_mask(rows).view(np.uint8))
        clock.append(time.perf_counter())
        if self._plan:
            self.mask(codes, rng)
        clock.append(time.perf_counter())
        for stage, took in zip(self.stages, np.diff(clock), strict=True):
            self.seconds[stage] += float(took)


def bases_per_second(genome: Genome, repeats: int, *, plan: bool, n: int = 100) -> tuple[list[float], dict[str, float]]:
    """Bases per second of each repeat, and milliseconds of each stage of a batch."""
    batches = TrainingBatches(genome, plan=plan)
    rates = []
    for repeat in range(repeats + 1):  # the first is a warm-up
        batches.seconds = dict.fromkeys(batches.seconds, 0.0) if repeat == 1 else batches.seconds
        rng = derive_generator(repeat, "benchmark")
        begin = time.perf_counter()
        for _ in range(n):
            batches.step(rng)
        rates.append(n * BATCH * LENGTH / (time.perf_counter() - begin))
    return rates[1:], {stage: 1e3 * took / (n * repeats) for stage, took in batches.seconds.items()}


# ---------------------------------------------------------------- workers

_inherited: dict[str, Callable] = {}


def read_inherited(name: str, contig: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Rows from a reader that was opened before the fork; zeros for windows at which it fails."""
    read = _inherited[name]
    if name == "genome":
        return as_rows(read(contig, start))
    rows = np.zeros((start.size, LENGTH), np.uint8)
    for i in range(start.size):
        with suppress(Exception):  # readers fail in many ways after a fork; all are counted
            rows[i] = as_rows(read(contig[i : i + 1], start[i : i + 1]))[0]
    return rows


def read_received(genome: Genome, contig: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Rows from a genome that was sent to a spawned worker."""
    return as_rows(in_batches(genome)(contig, start))


def in_workers(files: Files, method: str, function: Callable, first: object, n: int, seed: int) -> dict[str, int]:
    """What four workers read at once, compared with the sequence in memory of this process."""
    contig, start = draw(files, n, seed)
    pieces = np.array_split(np.arange(n), n // 1000)
    with multiprocessing.get_context(method).Pool(WORKERS) as pool:
        results = pool.starmap(function, [(first, contig[p], start[p]) for p in pieces], chunksize=1)
    rows = np.concatenate(results)
    failed = ~rows.any(1)
    wrong = (rows != expected(files, contig, start)) & ~failed[:, None]
    return {"windows": n, "wrong bases": int(wrong.sum()), "wrong windows": int(wrong.any(1).sum()), "failed": int(failed.sum())}


def compare_workers(files: Files, genome: Genome) -> dict[str, dict[str, int]]:
    half = CHECKED // 2
    with ExitStack() as stack:
        _inherited.update({"genome": in_batches(genome), **readers(files, genome, stack)})
        _inherited["genome"](*draw(files, 1, seed=0))  # open the map before the fork
        return {
            "Genome, opened before the fork": in_workers(files, "fork", read_inherited, "genome", half, seed=100),
            "Genome, sent to spawned workers": in_workers(files, "spawn", read_received, genome, half, seed=101),
            "pyfaidx plain, opened before the fork": in_workers(
                files, "fork", read_inherited, "pyfaidx plain, as_raw", half, seed=102
            ),
        }


# ---------------------------------------------------------------- report


def row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def met(ok: bool) -> str:
    return "met" if ok else "**NOT MET**"


def spread(values: list[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def report_readers(times: dict[str, list[float]]) -> list[str]:
    ours = times["Genome.windows, batches"]
    lines = [row("reader", "microseconds per window", "times slower than Genome.windows", "bar"), row(*["---"] * 4)]
    for name, values in times.items():
        ratios = [theirs / own for theirs, own in zip(values, ours, strict=True)]
        bar = BARS.get(name)
        verdict = f">= {bar}: {met(statistics.median(ratios) >= bar)}" if bar else ""
        lines.append(row(name, spread(values), spread(ratios, ".1f"), verdict))
    return lines


def report_batches(genome: Genome, repeats: int) -> list[str]:
    lines = [row("training batch", "million bases per second, one core", "bar", "milliseconds by stage"), row(*["---"] * 4)]
    for plan in (False, True):
        rates, stages = bases_per_second(genome, repeats, plan=plan)
        parts = ", ".join(f"{stage} {ms:.2f}" for stage, ms in stages.items() if plan or stage != "mask plan")
        verdict = f">= {BASES_PER_SECOND / 1e6:.0f}: {met(statistics.median(rates) >= BASES_PER_SECOND)}"
        name = "with a mask plan" if plan else "without a mask plan"
        lines.append(row(name, spread([rate / 1e6 for rate in rates], ".0f"), verdict, parts))
    return lines


def report_workers(results: dict[str, dict[str, int]]) -> list[str]:
    columns = ("windows", "wrong bases", "wrong windows", "failed")
    lines = [row(f"{WORKERS} workers at once", *columns, "bar"), row(*["---"] * 6)]
    for name, found in results.items():
        verdict = f"0: {met(found['wrong bases'] == found['failed'] == 0)}" if name.startswith("Genome") else ""
        lines.append(row(name, *(f"{found[column]:,}" for column in columns), verdict))
    return lines


def timed_open(path: Path, cache: Path) -> tuple[Genome, str]:
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        genome = Genome(path, cache_dir=cache)
        seconds.append(time.perf_counter() - begin)
    return genome, f"{path.suffix.lstrip('.')} converted in {seconds[0]:.2f} s, opened again in {1e3 * seconds[1]:.1f} ms"


def report_genome(files: Files, folder: Path, options: argparse.Namespace) -> list[str]:
    time.sleep(2.5)  # a file that young would be hashed again when it is opened again
    opened = [timed_open(path, folder / path.suffix) for path in (files.plain, files.bgzip)]
    genome = opened[0][0]
    assert len(genome) == sum(bases.size for bases in files.truth.values())
    lines = [
        f"## {files.name}: {len(genome):,} bases, {len(genome.contigs)} contigs",
        "",
        "; ".join(what for _, what in opened) + ".",
        "",
    ]
    lines += [*report_readers(compare_readers(files, genome, options.windows, options.repeats)), ""]
    lines += [*report_batches(genome, options.repeats), ""]
    return [*lines, *report_workers(compare_workers(files, genome)), ""]


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def versions() -> str:
    packages = ("numpy", "biopython", "pyfaidx", "torch")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {importlib.metadata.version(name)}" for name in packages)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")), help="holds dna/ecoli_k12"
    )
    parser.add_argument("--windows", type=int, default=20_000, help="windows of each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    options = parser.parse_args()
    lines = [
        "# Random windows of a genome",
        "",
        f"`python -m benchmarks.genome_io` on {processor()}; {versions()}. Windows of {LENGTH} bases at uniformly random positions, "
        f"batches of {BATCH}, files in the page cache, {options.repeats} repeats: median (range). Every window of every reader was compared "
        "with the sequence in memory. Microseconds are of this run; compare the ratios, which are taken within each repeat. Biopython keeps "
        "the last record and up to 100 blocks of bgzip text in memory, which is all of a small genome.",
        "",
    ]
    with tempfile.TemporaryDirectory() as name:
        for files in genomes(options.data, Path(name)):
            lines += report_genome(files, Path(name), options)
    text = "\n".join(lines)
    print(text)
    if options.report:
        temporary = options.report.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(options.report)


if __name__ == "__main__":
    main()
