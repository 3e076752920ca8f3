"""Scoring of real variants end to end: every record there and in order, every damage named, alleles
per second.

python -m benchmarks.dna_variants [--model FOLDER] [--data DIR] [--records N] [--context N]
[--batch-size N] [--out FILE]

Without ``--model`` a model of random weights is scored with: all checks are the same, the values
mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from r2mae_bio.errors import VcfError
from r2mae_bio.io import Genome, minimal_change
from r2mae_bio.tl import score_variants

SET = "human_chr20_1mb_1kgp"
N_RECORDS, N_DAMAGED = 28_998, 2_000
MAX_LENGTH, FLANK = 50, 8
TOLERANCE = 1e-5
NEXT = {"A": "C", "C": "G", "G": "T", "T": "A"}
Record = list[str]


# ---------------------------------------------------------------- VCF as text, without the package


def read(path: Path) -> tuple[list[str], list[Record]]:
    with gzip.open(path, "rt") as stream:
        lines = stream.read().splitlines()
    header = [line for line in lines if line.startswith("#")]
    return header, [line.split("\t") for line in lines[len(header) :]]


def write(path: Path, header: list[str], records: list[Record]) -> Path:
    with gzip.open(path, "wt") as stream:
        stream.writelines(f"{line}\n" for line in [*header, *("\t".join(record) for record in records)])
    return path


def values(records: list[Record], name: str) -> list[str]:
    """Values of one INFO field, one per allele."""
    found = [dict(f.partition("=")[::2] for f in record[7].split(";"))[f"R2MAE_{name}"] for record in records]
    return [value for text in found for value in text.split(",")]


def numbers(records: list[Record], name: str) -> np.ndarray:
    return np.array([np.nan if value == "." else float(value) for value in values(records, name)])


def same_but_for_info(before: list[Record], after: list[Record]) -> bool:
    """All records there, in order, every column unchanged, and INFO only longer."""
    if len(before) != len(after):
        return False
    pairs = zip(before, after, strict=True)
    return all(a[:7] == b[:7] and a[8:] == b[8:] and b[7].startswith(f"{a[7]};R2MAE_") for a, b in pairs)


# ---------------------------------------------------------------- damage


def undamaged(ref: str, alt: str, longest: int) -> str:
    """Status that an allele of the file has; its REF is that of the genome throughout, as the
    source says.
    """
    if not alt.isalpha():
        return "symbolic"
    _, removed, inserted = minimal_change(1, ref, alt)
    return "too_long" if max(len(removed), len(inserted)) > longest else "ok"


def or_symbolic(status: str, alt: str) -> str:
    return status if alt.isalpha() else "symbolic"


def damage(record: Record, kind: str, longest: int) -> tuple[Record, list[str]]:
    """The damaged record and the statuses it must get."""
    chrom, pos, name, ref, alts, *rest = record
    alleles = alts.split(",")
    status = [undamaged(ref, alt, longest) for alt in alleles]
    if kind == "wrong REF":
        status = ["ref_mismatch" if s == "ok" else s for s in status]
        ref = NEXT[ref[0]] + ref[1:]
    elif kind == "lower case":
        ref, alleles = ref.lower(), [alt.lower() if alt.isalpha() else alt for alt in alleles]
    elif kind == "missing contig":
        chrom, status = "chrMissing", [or_symbolic("off_contig", alt) for alt in alleles]
    elif kind == "beyond the contig":
        pos, status = str(10**8), [or_symbolic("off_contig", alt) for alt in alleles]
    elif kind == "multi-allelic":
        added = next(b + ref[1:] for b in "ACGT" if b != ref[0] and b + ref[1:] not in alleles)
        alleles, status = [*alleles, added], [*status, undamaged(ref, added, longest)]
    elif kind == "symbolic":
        alleles, status = ["<DEL>"], ["symbolic"]
    elif kind == "*":
        alleles, status = [*alleles, "*"], [*status, "symbolic"]
    elif kind == "N":
        status = ["ambiguous_base" if s == "ok" else s for s in status]
        ref = "N" + ref[1:]
    return [chrom, pos, name, ref, ",".join(alleles), *rest], status


KINDS = ("none", "wrong REF", "lower case", "missing contig", "beyond the contig", "multi-allelic", "symbolic", "*", "N")


# ---------------------------------------------------------------- runs


class Seconds(NamedTuple):
    """Time of a run; the first counts what else the machine did meanwhile."""

    wall: float
    processor: float


@dataclass
class Job:
    genome: Genome
    model: Any
    folder: Path
    options: dict[str, Any]

    @property
    def longest(self) -> int:
        """Longest allele that is scored: what a window holds beside both flanks, and no more than
        asked for.
        """
        return min(MAX_LENGTH, (self.options["context"] or self.model.window) - 2 * FLANK)

    def score(self, source: Path, name: str, model: Any = None) -> tuple[list[Record], Seconds]:
        start, busy = time.perf_counter(), time.process_time()
        path = score_variants(source, self.genome, model or self.model, out=self.folder / name, **self.options)
        seconds = Seconds(time.perf_counter() - start, time.process_time() - busy)
        return read(path)[1], seconds


class Interrupting:
    """A model that stops as Ctrl-C would, at a certain call."""

    def __init__(self, model: Any, n_calls: int) -> None:
        self._model, self._left = model, n_calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def log_probs(self, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return self._model.log_probs(*args, **kwargs)


class Report:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ok = True

    def add(self, *lines: str) -> None:
        self.lines += lines

    def check(self, what: str, *, holds: bool) -> None:
        self.ok &= holds
        self.add(f"- {'yes' if holds else '**NO**'}: {what}")

    def table(self, head: list[str], rows: list[list[Any]]) -> None:
        self.add("", "| " + " | ".join(head) + " |", "|" + "---|" * len(head))
        self.add(*("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), "")


def whole(job: Job, report: Report, source: Path, before: list[Record]) -> list[Record]:
    after, seconds = job.score(source, "whole.vcf.gz")
    expected = [undamaged(r[3], alt, job.longest) for r in before for alt in r[4].split(",")]
    status, kind, llr = values(after, "STATUS"), values(after, "KIND"), numbers(after, "LLR")
    report.add("", f"## {len(before):,} records as they are", "")
    report.check("every record is there, in order, unchanged but for INFO", holds=same_but_for_info(before, after))
    report.check("every allele has the status that its text implies", holds=status == expected)
    report.check(
        "every allele of status ok has a score and no other has",
        holds=bool(np.array_equal(np.isfinite(llr), np.array(status) == "ok")),
    )
    counted = Counter(zip(kind, status, strict=True))
    report.table(["kind", "status", "alleles"], [[k, s, f"{n:,}"] for (k, s), n in sorted(counted.items())])
    snv = np.array(kind) == "snv"
    p_ref, entropy, distance = (numbers(after, name) for name in ("P_REF", "ENTROPY", "EMBEDDING_DISTANCE"))
    report.add(
        f"{len(status):,} alleles in {seconds.wall:.1f} s, reading, scoring and writing: {len(status) / seconds.wall:,.0f} per second, "
        f"{len(status) / seconds.processor:,.0f} per second of processor time."
    )
    if (rest := ~snv & np.isfinite(llr)).any():
        report.add(f"Others: median llr {np.median(llr[rest]):.3f} nats.")
    if (snv := snv & np.isfinite(llr)).any():
        report.add(
            f"SNVs: median llr {np.median(llr[snv]):.3f} nats, mean -log p(REF) {-np.log(p_ref[snv]).mean():.4f} nats, mean entropy "
            f"{entropy[snv].mean():.4f} nats, median distance {np.median(distance[snv]):.4g}."
        )
    return after


def damaged(job: Job, report: Report, header: list[str], before: list[Record], scored: list[Record]) -> Path:
    n = min(N_DAMAGED, len(before))
    kinds = [KINDS[i % len(KINDS)] for i in range(n)]
    pairs = [damage(record, kind, job.longest) for record, kind in zip(before[:n], kinds, strict=True)]
    source = write(job.folder / "damaged.vcf.gz", header, [record for record, _ in pairs])
    after, seconds = job.score(source, "damaged.scored.vcf.gz")
    expected = pd.DataFrame([(kind, s) for kind, (_, status) in zip(kinds, pairs, strict=True) for s in status])
    found = expected.assign(**{"1": values(after, "STATUS")})
    report.add("", f"## The first {n:,} records, eight of nine damaged", "")
    report.check("every record is there, in order", holds=same_but_for_info([record for record, _ in pairs], after))
    report.check("every allele has the status that its damage implies", holds=bool((found[1] == found["1"]).all()))
    rows = []
    for kind in KINDS:
        want, got = (Counter(table.loc[table[0] == kind, column]) for table, column in ((expected, 1), (found, "1")))
        rows.append([kind, *(", ".join(f"{s} {c}" for s, c in sorted(counts.items())) for counts in (want, got))])
    report.table(["damage", "expected", "found"], rows)
    clean = [i for i in range(n) if kinds[i] in ("none", "lower case")]
    one, two = (numbers([records[i] for i in clean], "LLR") for records in (scored, after))
    change = float(np.nanmax(np.abs(one - two)))
    report.check(
        f"scores of undamaged and lower-case records are those of the whole file (largest difference {change:.1g} nats)",
        holds=change <= TOLERANCE and bool(np.array_equal(np.isnan(one), np.isnan(two))),
    )
    report.add(f"- {n:,} records in {seconds.wall:.1f} s, {seconds.processor:.1f} s of processor time")
    return source


def interrupted(job: Job, report: Report, source: Path) -> None:
    whole_bytes = (job.folder / "damaged.scored.vcf.gz").read_bytes()
    n_stopped = 0
    for n_calls in (0, 1, 2):  # calls until the next stop; a few records are done by then
        if not (job.folder / "resumed.vcf.gz").exists():
            with contextlib.suppress(KeyboardInterrupt):
                n_stopped += 1
                job.score(source, "resumed.vcf.gz", Interrupting(job.model, n_calls))
                n_stopped -= 1
    if not (job.folder / "resumed.vcf.gz").exists():
        job.score(source, "resumed.vcf.gz")
    same = (job.folder / "resumed.vcf.gz").read_bytes() == whole_bytes
    report.check(f"interrupted {n_stopped} times and resumed, the output has the same bytes", holds=same and n_stopped > 0)


def cut(job: Job, report: Report, source: Path, whole_file: Path) -> None:
    report.add("", "## Cut files", "")
    data = source.read_bytes()
    for what, content in (
        ("gzip cut in half", data[: len(data) // 2]),
        ("gzip without its last byte", data[:-1]),
        ("bgzip without its end block", whole_file.read_bytes()[:-28]),
    ):
        path, out = job.folder / "cut.vcf.gz", job.folder / "cut.scored.vcf.gz"
        path.write_bytes(content)
        try:
            job.score(path, out.name)
            message = ""
        except VcfError as error:
            message = str(error).replace(str(job.folder), "...")
        left = [p.name for p in job.folder.iterdir() if p.name.startswith(out.name)]
        report.check(f"{what}: refused, nothing left behind: {message!r}", holds=bool(message) and not left)


# ---------------------------------------------------------------- command line


def random_model(genome: Genome) -> Any:
    from r2mae_bio.model import DNAMAE

    model = DNAMAE(genome, window=128, n_layers=2, d_model=32)
    model.initialize()
    return model


def saved_model(folder: Path) -> Any:
    from r2mae_bio.model import DNAMAE

    return DNAMAE.load(folder)


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [x.partition(":")[2].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        if info.exists()
        else []
    )
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy"))
    processor = names[0] if names else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {threads} thread(s) for torch; Python {platform.python_version()}, {versions}"


def run(model: Any, genome: Genome, source: Path, folder: Path, options: argparse.Namespace, name: str) -> Report:
    settings = {
        "context": options.context,
        "batch_size": options.batch_size,
        "max_length": MAX_LENGTH,
        "flank": FLANK,
        "progress_bar": False,
    }
    job = Job(genome, model, folder, settings)
    header, records = read(source)
    report = Report()
    report.add(
        "# Scores of real variants",
        "",
        f"`python -m benchmarks.dna_variants` on {machine()}. Model: {name}, window {model.window} bp, context "
        f"{options.context or model.window} bp, checksum {model.checksum()[:12]}. Data: `{SET}`, 1 Mb of human chromosome 20 with the sites of "
        "the 1000 Genomes Project. Timings on a machine that does other work at the same time.",
    )
    if options.records is None:
        report.add("")
        report.check(f"the file holds {N_RECORDS:,} records", holds=len(records) == N_RECORDS)
    else:
        records = records[: options.records]
        source = write(folder / "first.vcf.gz", header, records)
    scored = whole(job, report, source, records)
    broken = damaged(job, report, header, records, scored)
    interrupted(job, report, broken)
    cut(job, report, broken, folder / "whole.vcf.gz")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of a saved model; without it, random weights")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")), help=f"holds dna/{SET}"
    )
    parser.add_argument("--records", type=int, help="only so many records")
    parser.add_argument("--context", type=int, help="width of the windows, bp")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    options = parser.parse_args()
    data = options.data / "dna" / SET
    with tempfile.TemporaryDirectory() as folder:
        genome = Genome(data / "genome.fa.gz", cache_dir=Path(folder) / "cache")
        model = random_model(genome) if options.model is None else saved_model(options.model)
        name = "random weights (2 layers, 32 wide)" if options.model is None else options.model.name
        report = run(model, genome, data / "variants.vcf.gz", Path(folder), options, name)
    text = "\n".join(report.lines) + "\n"
    print(text)
    if options.out:
        temporary = options.out.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(options.out)
    sys.exit(0 if report.ok else 1)


if __name__ == "__main__":
    main()
