"""A genome in shards, one of them killed and gone on with: the merged tracks against those of one
run, byte by byte, and read by other tools; bases per second.

python -m benchmarks.saturation_track [--bases N] [--shards N] [--workers N] [--stride N]
[--hidden-at-once N] [--model DIR] [--folder DIR] [--data DIR] [--out FILE]

E. coli K-12 (dna/ecoli_k12 of the data folder), its first ``--bases`` or all. Without ``--model``,
one of four layers of width 64 for a window of 256 is made and hardly trained: speed and equality do
not depend on what it learnt. Every process has one thread; ``--workers`` shards run at a time, then
the whole.

1,000 random bases of each merged bigWig are looked up with pybigtools, with pyBigWig if it is
installed, and those of a merged bedGraph with bedtools if it is on the PATH; they must be the
values of the ``.logp`` files, or those of the bedGraph to six digits.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gene_sets import DATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_LOOKED_UP = 1000
SIZES = {"d_model": 64, "n_layers": 4, "attention_every": 4}
CHILD = """
import sys, json, time, torch
torch.set_num_threads(1)
import r2mae_bio as rb
from r2mae_bio.dna.scoring import _track
job = json.loads(sys.argv[1])
if job["commit_often"]:
    _track._COMMIT_SECONDS = 0
genome, model = rb.io.Genome(job["genome"], cache_dir=job["cache"]), rb.model.DNAMAE.load(job["model"])
wall, processor = time.perf_counter(), time.process_time()
rb.tl.saturation_track([(genome.contigs[0], 0, job["bases"])], genome, model, out=job["out"], progress_bar=False, **job["settings"])
print(json.dumps([time.perf_counter() - wall, time.process_time() - processor]))
"""


# ---------------------------------------------------------------- runs


def run(job: dict[str, Any], *, kill_after: int = 0) -> tuple[float, float]:
    """Seconds and processor seconds of a child; or the first, and how many blocks were on the disk,
    if it was killed once that many were.
    """
    begin, state = time.perf_counter(), Path(f"{job['out']}.part.json")
    words = json.dumps({**job, "commit_often": bool(kill_after)})
    child = subprocess.Popen([sys.executable, "-c", CHILD, words], stdout=subprocess.PIPE, text=True)
    while kill_after and child.poll() is None:
        n_blocks = json.loads(state.read_bytes())["records"] if state.exists() else 0
        if n_blocks >= kill_after:
            child.kill()
            child.communicate()  # which closes the pipe
            return time.perf_counter() - begin, n_blocks
        time.sleep(0.01)
    said, _ = child.communicate()
    if child.returncode:
        raise SystemExit(child.returncode)
    if kill_after:
        raise SystemExit("The shard to be killed ended before; ask for more --bases.")
    wall, processor = json.loads(said.splitlines()[-1])
    return wall, processor


def run_shards(job: dict[str, Any], outs: list[Path], n_workers: int) -> dict[str, Any]:
    """All shards, some at a time, the second killed in its first third and called again."""

    def one(i: int) -> tuple[tuple[float, float], tuple[float, float] | None]:
        shard = {**job, "out": str(outs[i]), "settings": {**job["settings"], "shard": f"{i + 1}/{len(outs)}"}}
        killed = run(shard, kill_after=max(1, job["bases"] // 1024 // len(outs) // 3)) if i == 1 else None
        return run(shard), killed

    begin = time.perf_counter()
    with ThreadPoolExecutor(n_workers) as pool:
        done = list(pool.map(one, range(len(outs))))
    killed = next((killed for _, killed in done if killed), (0.0, 0.0))
    return {
        "seconds of all shards": round(time.perf_counter() - begin, 1),
        "processor seconds of each shard, the second after its kill": [round(spent, 1) for (_, spent), _ in done],
        "blocks that were on the disk when the second was killed": int(killed[1]),
        "bases per processor second, first shard": round(job["bases"] / len(outs) / done[0][0][1]),
    }


# ---------------------------------------------------------------- other tools


def with_pybigtools(path: Path, contig: str, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    import pybigtools

    with pybigtools.open(str(path)) as file:
        return np.float32([next(iter(file.records(contig, int(p), int(p) + 1)))[2] for p in positions])


def with_pybigwig(path: Path, contig: str, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    import pyBigWig

    with pyBigWig.open(str(path)) as file:
        return np.float32([file.values(contig, int(p), int(p) + 1)[0] for p in positions])


def with_bedtools(path: Path, contig: str, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    lines = "".join(f"{contig}\t{p}\t{p + 1}\n" for p in positions)
    words = ["bedtools", "intersect", "-sorted", "-wb", "-a", "stdin", "-b", str(path)]
    said = subprocess.run(words, input=lines, capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in said.splitlines()]
    if [int(row[1]) for row in rows] != positions.tolist():
        raise SystemExit(f"bedtools finds {len(rows)} of {positions.size} bases in {path}.")
    return np.float32([row[-1] for row in rows])


def look_up(parts: list[Path], merged: list[Path], bedgraph: Path, contig: str) -> dict[str, str]:
    """What other tools find at random bases, compared with the files of the shards."""
    from r2mae_bio.dna.scoring._track import track_values
    from r2mae_bio.dna.tracks._logp import LogpFile
    from r2mae_bio.dna.tracks._whole import put_together

    blocks = list(put_together([LogpFile.open(part) for part in parts]).sorted_blocks())
    log_p, codes = (np.concatenate([block[i] for block in blocks]) for i in (2, 3))
    known = np.flatnonzero(codes < 4)
    positions = np.sort(np.random.default_rng(0).choice(known, min(N_LOOKED_UP, known.size), replace=False))
    values = {name: column.astype(np.float32) for name, column in track_values(codes[positions], log_p[positions]).items()}
    readers: dict[str, Callable[..., NDArray[np.float32]]] = {"pybigtools": with_pybigtools}
    if importlib.util.find_spec("pyBigWig"):
        readers["pyBigWig"] = with_pybigwig
    found = {"pyBigWig": "not installed", "bedtools": "not on the PATH"}
    for name, read in readers.items():
        wrong = [
            path.name for path in merged if not np.array_equal(read(path, contig, positions), values[path.name.split(".")[1]])
        ]
        found[name] = (
            f"other values in {', '.join(wrong)}" if wrong else f"the same at {positions.size} bases of {len(merged)} files"
        )
    if shutil.which("bedtools"):
        right = np.allclose(with_bedtools(bedgraph, contig, positions), values["llr_max"], rtol=1e-5, atol=1e-7)
        found["bedtools"] = f"the same to six digits at {positions.size} bases" if right else "other values"
    return found


# ---------------------------------------------------------------- all of it


def make_model(genome: Any, folder: Path) -> Path:
    import r2mae_bio as rb

    model = rb.model.DNAMAE(genome, window=256, **SIZES)
    model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    model.save(folder / "model", overwrite=True)
    return folder / "model"


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Times, whether the bytes are the same, and what other tools read."""
    import r2mae_bio as rb

    source = (args.data / "dna" / "ecoli_k12" / "genome.fa.gz").resolve()
    genome = rb.io.Genome(source, cache_dir=folder)
    path = (args.model or make_model(genome, folder)).resolve()
    size = min(args.bases or len(genome), len(genome))
    settings = {"stride": args.stride, "hidden_at_once": args.hidden_at_once}
    job = {"genome": str(source), "cache": str(folder), "model": str(path), "bases": size, "settings": settings}
    outs = [folder / "parts" / f"{i + 1}.logp" for i in range(args.shards)]
    config = rb.model.DNAMAE.load(path).config
    model = f"{config.n_layers} layers of width {config.d_model}"
    facts = {"bases": size, "model": model, "shards": args.shards, "at a time": args.workers, **settings}
    facts |= run_shards(job, outs, args.workers)
    begin = time.perf_counter()
    merged = rb.tl.merge_tracks(outs, folder / "merged" / "scores.bw")
    facts["seconds to merge six bigWig"] = round(time.perf_counter() - begin, 1)
    (bedgraph,) = rb.tl.merge_tracks(outs, folder / "merged" / "llr_max.bedgraph", value="llr_max")
    facts |= look_up(outs, merged, bedgraph, genome.contigs[0])
    wall, spent = run({**job, "out": str(folder / "whole" / "scores.bw")})
    facts |= {"seconds of one run with its tracks": round(wall, 1), "its processor seconds": round(spent, 1)}
    facts["same bytes"] = all((folder / "whole" / path.name).read_bytes() == path.read_bytes() for path in merged)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=int)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stride", type=int, default=64)
    parser.add_argument("--hidden-at-once", type=int, default=1)
    parser.add_argument("--model", type=Path, help="folder of a trained model")
    parser.add_argument("--folder", type=Path, help="empty folder to keep the tracks in")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        facts = measure(args, args.folder or Path(temporary))
    text = "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    print(text)
    if args.out:
        args.out.write_text(text)
    if not facts["same bytes"] or any(str(value).startswith("other values") for value in facts.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
