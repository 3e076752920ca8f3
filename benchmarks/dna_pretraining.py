"""Pretraining DNAMAE on a genome: held-out loss beside counting controls, by mask ratio; laws of
the mask ratio at equal steps; zero-shot.

one long run, R2MAE:
    python -m benchmarks.dna_pretraining --genome ecoli --epochs 22
the laws side by side:
    python -m benchmarks.dna_pretraining --laws all --seeds 3 --epochs 2 --d-model 64 --n-layers 4
tables of what was run:
    python -m benchmarks.dna_pretraining --report

Every run is written when it is done, under --folder, and is not run again; checkpoints lie beside
it, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.context_controls import context_losses, repeated_in
from r2mae_bio import tl
from r2mae_bio.io import Genome, encode_bases, split_genome
from r2mae_bio.masking import Fixed, Schedule, Uniform
from r2mae_bio.model import DNAMAE

LAWS = {"R2MAE": Uniform(0, 1), "fixed .15": Fixed(0.15), "fixed .5": Fixed(0.5), "linear .9 to .15": Schedule(0.9, 0.15)}
GENOMES = {
    "ecoli": ("ecoli_k12", [("NC_000913.3", 3_713_321, 4_641_652)]),
    "yeast": ("yeast_w303", ["CM007968.1", "CM007979.1"]),
}
SPACING = 64  # hidden together in one window of 256: far enough apart that none of the counted contexts meets another
FACTS = (
    "genome", "law", "seed", "epochs", "preset", "window", "steps", "bases_trained_on", "seconds_of_last_call",
)  # fmt: skip
RATIOS = (0.01, 0.15, 0.3, 0.5, 0.7, 0.85)


# ---------------------------------------------------------------- data


def open_genome(name: str, data: Path):
    folder, held_out = GENOMES[name]
    genome = Genome(data / "dna" / folder / "genome.fa.gz")
    return genome, split_genome(genome, validation=held_out)


def held_out_windows(genome: Genome, split, window: int, most: int) -> np.ndarray:
    """Windows side by side, all bases known, evenly spread."""
    part = split.validation
    starts = np.concatenate(
        [
            genome.offsets[c] + np.arange(a, b - window + 1, window)
            for c, a, b in zip(part.contig, part.start, part.end, strict=True)
        ]
    )
    codes = encode_bases(genome.windows(starts, window))
    codes = codes[(codes < 4).all(1)]
    return codes[np.linspace(0, len(codes) - 1, min(most, len(codes))).astype(int)]


def training_codes(genome: Genome, split) -> list[np.ndarray]:
    part = split.train
    spans = zip(part.contig, part.start, part.end, strict=True)
    return [encode_bases(genome.fetch(genome.contigs[c], int(a), int(b)).encode()) for c, a, b in spans]


# ---------------------------------------------------------------- measures


def probes(rows: np.ndarray) -> np.ndarray:
    """Positions hidden together in each window, (n, k): evenly spaced, off the ends, another offset
    in each window.
    """
    n, window = rows.shape
    offset = np.arange(n) * 37 % SPACING
    return offset[:, None] + np.arange(window // SPACING) * SPACING


def single_base_loss(model: DNAMAE, rows: np.ndarray, strand: str = "both") -> np.ndarray:
    """Nats of each probed base, (n, k)."""
    at = probes(rows)
    hidden = np.zeros(rows.shape, bool)
    np.put_along_axis(hidden, at, True, axis=1)
    log_probs = model.log_probs(rows, hidden, strand=strand)
    each = np.arange(len(rows))[:, None]
    return -log_probs[each, at, rows[each, at]]


def controls(genome: Genome, split, rows: np.ndarray, nats: np.ndarray) -> dict[str, dict[str, float]]:
    """Counting controls at the probed places: all of them, those whose surroundings also occur in
    the training part, and the others.
    """
    at = probes(rows)
    repeated = np.repeat(rows, at.shape[1], axis=0)
    position = at.ravel()
    train = training_codes(genome, split)
    losses = {f"w={w}": loss for w, loss in enumerate(context_losses(train, repeated, position))}
    losses["model"] = nats.ravel()
    known = repeated_in(train, repeated, position)
    places = {"all": np.ones(len(known), bool), "repeated": known, "unique": ~known}
    return {
        name: {"share": float(which.mean()), **{k: float(v[which].mean()) for k, v in losses.items()}}
        for name, which in places.items()
    }


def loss_by_ratio(model: DNAMAE, rows: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Nats per hidden base at fixed ratios, the same masks for every model, forward strand."""
    out = {}
    for ratio in RATIOS:
        rng = np.random.default_rng(seed)
        keys = rng.random(rows.shape)
        n_hidden = max(1, round(ratio * rows.shape[1]))
        hidden = keys <= np.partition(keys, n_hidden - 1, axis=1)[:, n_hidden - 1 : n_hidden]
        log_probs = model.log_probs(rows, hidden, strand="+")
        row, position = np.nonzero(hidden)
        out[f"{ratio:g}"] = float(-log_probs[row, position, rows[row, position]].mean())
    return out


def zero_shot(model: DNAMAE, genome: Genome, name: str, data: Path, split) -> dict[str, float]:
    """AUROC of nonsense against synonymous changes in the held-out part by the log-ratio, beside
    the order-5 Markov ratio.
    """
    table = pd.read_csv(data / "dna" / GENOMES[name][0] / "consequence_snvs.tsv.gz", sep="\t")
    part = split.validation
    inside = np.zeros(len(table), bool)
    for c, a, b in zip(part.contig, part.start, part.end, strict=True):
        inside |= ((table.chrom == genome.contigs[c]) & (table.pos > a) & (table.pos <= b)).to_numpy()
    table = table[inside & table.label.isin([0, 2])].reset_index(drop=True)
    scores = tl.score_variants(table[["chrom", "pos", "ref", "alt"]], genome, model, embedding_distance=False, progress_bar=False)
    nonsense = table.label == 2
    return {
        "n": len(table),
        "auroc": float(roc_auc_score(nonsense, -scores.llr)),
        "auroc_markov5": float(roc_auc_score(nonsense, -table.markov5_llr)),
    }


# ---------------------------------------------------------------- runs


def run(name: str, law: str, seed: int, args: argparse.Namespace) -> None:
    sizes = {k: v for k, v in {"d_model": args.d_model, "n_layers": args.n_layers, "attention_every": args.n_layers}.items() if v}
    if args.hiding != "replace":
        sizes["hiding"] = args.hiding
    network = "_".join([args.preset, *(f"{k}{v}" for k, v in sizes.items())])
    label = f"{name}_{law}_{seed}_{args.epochs}x{network}".replace(" ", "_")
    path = args.folder / f"{label}.json"
    if path.exists():
        return
    genome, split = open_genome(name, args.data)
    saved, start = args.folder / label, time.perf_counter()
    if not saved.exists():  # a run may have been stopped between its training and its judgement
        model = DNAMAE(genome, window=args.window, mask_ratio=LAWS[law], preset=args.preset, seed=seed, **sizes)
        train(model, split, args.folder / f"{label}_checkpoints", args)
        model.save(saved)
    model = DNAMAE.load(saved)
    judge(model, genome, split, path, {
        "genome": name, "law": law, "seed": seed, "epochs": args.epochs, "preset": network, "window": args.window,
        "steps": int(model.history["step"].iloc[-1]),
        "bases_trained_on": int(model.history["step"].iloc[-1] * args.batch_size * args.window),
        "seconds_of_last_call": time.perf_counter() - start,
    }, args)  # fmt: skip


def train(model: DNAMAE, split, checkpoints: Path, args: argparse.Namespace) -> None:
    resume = checkpoints if any(checkpoints.glob("step_*")) else None
    rate = {} if args.learning_rate is None else {"learning_rate": args.learning_rate}
    model.train(
        args.epochs, split=split, batch_size=args.batch_size, checkpoint_dir=checkpoints, resume_from=resume, progress_bar=False,
        train_kwargs=rate,
    )  # fmt: skip


def judge(model: DNAMAE, genome: Genome, split, path: Path, facts: dict, args: argparse.Namespace) -> None:
    """Measure a trained model and write what was found."""
    rows = held_out_windows(genome, split, model.window, args.most)
    nats = single_base_loss(model, rows)
    result = {
        **facts,
        "single_base": float(nats.mean()),
        "single_base_sd": float(nats.mean(1).std() / np.sqrt(len(nats))),
        "n_probed": int(nats.size),
        "single_base_forward": float(single_base_loss(model, rows, "+").mean()),
        "by_ratio": loss_by_ratio(model, rows),
        "zero_shot": zero_shot(model, genome, facts["genome"], args.data, split),
        "markov": model.floors,
        "context_floors": controls(genome, split, rows, nats) if args.floors else {},
        "history": model.history.to_dict("records"),
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(path)
    print(json.dumps({k: v for k, v in result.items() if k != "history"}, indent=1), flush=True)


def judge_again(args: argparse.Namespace) -> None:
    """Measure saved models anew, without training."""
    for path in sorted(args.folder.glob("*.json")):
        facts = {k: v for k, v in json.loads(path.read_text()).items() if k in FACTS}
        genome, split = open_genome(facts["genome"], args.data)
        judge(DNAMAE.load(path.with_suffix("")), genome, split, path, facts, args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")))
    parser.add_argument("--folder", type=Path, default=Path("demo/dna_pretraining"))
    parser.add_argument("--genome", choices=sorted(GENOMES), default="ecoli")
    parser.add_argument("--laws", default="R2MAE", help="comma-separated, or all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=22, help="passes over the training part")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--d-model", type=int, help="other than the preset's")
    parser.add_argument("--n-layers", type=int, help="other than the preset's, one of them attending")
    parser.add_argument("--hiding", choices=("replace", "drop"), default="replace")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument("--most", type=int, default=3000, help="held-out windows that are judged")
    parser.add_argument("--floors", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--judge-again", action="store_true", help="measure saved models anew")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.report:
        from benchmarks.dna_pretraining_report import report

        print(report(args.folder))
        return
    if args.judge_again:
        judge_again(args)
        return
    laws = list(LAWS) if args.laws == "all" else args.laws.split(",")
    for seed in range(args.seeds):
        for law in laws:
            run(args.genome, law, seed, args)


if __name__ == "__main__":
    main()
