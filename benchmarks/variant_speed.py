"""Scoring of variants by two builds side by side: alleles per second of processor time, their
ratio, and the largest difference of a score.

python -m benchmarks.variant_speed --old TREE [--new TREE] [--data DIR] [--contexts 128,256]
[--snvs N] [--indels N] [--rounds N] [--whole] [--out FILE]

A tree is a folder that holds the package. Both builds read the same weights, on one thread each,
in turn, so that what else the machine does meets both. ``--whole`` scores the whole VCF file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.dna_variants import SET, machine
from benchmarks.gene_sets import DATA

NUMBERS = ("llr", "abs_llr", "p_ref", "p_alt", "entropy", "embedding_distance")
KINDS = {"SNVs": False, "SNVs, with the distance": True, "insertions and deletions": True}


def alleles(source: Path) -> dict[str, pd.DataFrame]:
    """SNVs and insertions or deletions of a file, one ALT each."""
    with gzip.open(source, "rt") as stream:
        records = [line.split("\t")[:5] for line in stream if not line.startswith("#")]
    table = pd.DataFrame(records, columns=["chrom", "pos", "id", "ref", "alt"]).astype({"pos": int})
    length = table["ref"].str.len() - table["alt"].str.len()
    single = (table["ref"].str.len() == 1) & table["alt"].isin(list("ACGT"))
    other = table["alt"].str.fullmatch("[ACGT]+") & (length != 0) & (length.abs() <= 50)
    return {"SNVs": table[single], "insertions and deletions": table[other]}


# ---------------------------------------------------------------- one build, in its own process


def score(job: dict[str, Any]) -> None:
    """Score what a job says and leave table and seconds in its folder."""
    import torch

    import r2mae_bio as rb

    torch.set_num_threads(1)
    genome = rb.io.Genome(job["genome"], cache_dir=job["cache"])
    model = rb.model.DNAMAE.load(job["model"])
    variants = job["variants"] if job["variants"].endswith(".vcf.gz") else pd.read_parquet(job["variants"])
    settings = {"context": job["context"], "embedding_distance": job["distance"], "progress_bar": False}
    if isinstance(variants, pd.DataFrame):
        rb.tl.score_variants(variants[:4], genome, model, **settings)  # libraries prepare themselves
    busy = Clock(model)
    start = time.process_time()
    table = rb.tl.score_variants(variants, genome, busy, **settings)
    seconds = time.process_time() - start
    table[[name for name in NUMBERS if name in table]].to_parquet(job["table"])
    print(json.dumps({"seconds": seconds, "in_model": busy.seconds, "package": rb.__file__}))


class Clock:
    """A model, and the processor time spent in it."""

    def __init__(self, model: Any) -> None:
        self._model, self.seconds = model, 0.0

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._model, name)
        if name not in ("log_probs", "states", "read_windows"):
            return member

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            found = member(*args, **kwargs)
            self.seconds += time.process_time() - start
            return found

        return timed


def run(tree: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Score in a process that imports the package from ``tree``."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    own = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, **threads, "PYTHONPATH": f"{tree.resolve()}{os.pathsep}{own}"}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--job", json.dumps(job)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["package"]).is_relative_to(tree.resolve())
    return found


# ---------------------------------------------------------------- both


def compare(options: argparse.Namespace, folder: Path, job: dict[str, Any], n: int) -> dict[str, Any]:
    """Both builds in turn: the median seconds of each, and how far their scores lie apart."""
    trees = {"old": options.old, "new": options.new}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(options.rounds):
        for name, tree in trees.items():
            runs[name].append(run(tree, {**job, "table": str(folder / f"{name}.parquet")}))
    old, new = (pd.read_parquet(folder / f"{name}.parquet").to_numpy(np.float64) for name in trees)
    assert (np.isnan(old) == np.isnan(new)).all()
    seconds = {name: float(np.median([r["seconds"] for r in runs[name]])) for name in trees}
    return {
        "alleles": n,
        "old, per second": n / seconds["old"],
        "new, per second": n / seconds["new"],
        "ratio": seconds["old"] / seconds["new"],
        "outside the network": 1 - float(np.median([r["in_model"] / r["seconds"] for r in runs["new"]])),
        "largest difference": float(np.nanmax(np.abs(old - new))),
    }


def measure(options: argparse.Namespace, folder: Path) -> pd.DataFrame:
    from r2mae_bio.io import Genome
    from r2mae_bio.model import DNAMAE

    data = options.data / SET
    source, rows = data / "variants.vcf.gz", []
    known = alleles(source)
    genome = Genome(data / "genome.fa.gz", cache_dir=folder / "cache")
    for context in options.contexts:
        model = DNAMAE(genome, window=context, preset="tiny")
        model.initialize()
        model.save(folder / f"model{context}")
        job = {"genome": str(data / "genome.fa.gz"), "cache": str(folder / "cache"), "model": str(folder / f"model{context}")}
        for what, distance in KINDS.items():
            n = options.snvs if what.startswith("SNV") else options.indels
            table = known[what.partition(",")[0]]
            table = table.iloc[: len(table) // n * n : max(len(table) // n, 1)][:n]  # evenly over the file
            table.to_parquet(folder / "some.parquet")
            job |= {"variants": str(folder / "some.parquet"), "context": context, "distance": distance}
            rows.append({"context": context, "what": what, **compare(options, folder, job, len(table))})
        if options.whole:
            job |= {"variants": str(source), "distance": True}
            with gzip.open(source) as stream:
                n = sum(not line.startswith(b"#") for line in stream)
            rows.append({"context": context, "what": f"all of {SET} (records)", **compare(options, folder, job, n)})
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    shown = table.copy()
    for name in ("old, per second", "new, per second", "ratio"):
        shown[name] = shown[name].map("{:.1f}".format)
    shown["outside the network"] = shown["outside the network"].map("{:.1%}".format)
    shown["largest difference"] = shown["largest difference"].map("{:.1e}".format)
    head = "| " + " | ".join(shown.columns) + " |\n|" + "---|" * len(shown.columns) + "\n"
    body = "".join("| " + " | ".join(map(str, row)) + " |\n" for row in shown.itertuples(index=False))
    return (
        "# Scoring of variants: a build against the one before\n\n"
        f"`python -m benchmarks.variant_speed --old TREE` on {machine()}; one thread each, processor time, the median of rounds in turn, "
        "on a machine that does other work at the same time. Network `tiny` with random weights; a difference is that of any score, in "
        "float32. What is outside the network is all time that is not spent in a method of the model.\n\n" + head + body
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--new", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--data", type=Path, default=DATA / "dna")
    parser.add_argument("--contexts", type=lambda text: [int(number) for number in text.split(",")], default=[128, 256])
    parser.add_argument("--snvs", type=int, default=256)
    parser.add_argument("--indels", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job is not None:
        score(options.job)
        return
    if options.old is None:
        parser.error("--old names the tree of the build to compare with.")
    with tempfile.TemporaryDirectory() as folder:
        text = markdown(measure(options, Path(folder)))
    if options.out is not None:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
