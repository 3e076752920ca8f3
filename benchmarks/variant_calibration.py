"""Do calibrated and mask-averaged scores of variants tell more than the plain log-likelihood ratio?

    python -m benchmarks.variant_calibration --ecoli MODEL --human MODEL [--data DIR] [--sites N]
        [--masks N] [--most N] [--out FILE]

Nonsense and missense against synonymous changes in the last fifth of *E. coli*, neutral sites being
those at least 50 bp from any feature, and rare against common variants of human chromosome 20,
neutral sites being those of the whole stretch. The models are such as ``dna_pretraining`` trains.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.dna_variants import machine
from r2mae_bio import tl
from r2mae_bio._rng import derive_generator
from r2mae_bio.io import Genome
from r2mae_bio.model import DNAMAE

HELD_OUT = 3_713_321
"""Last position of *E. coli* that the model was trained on."""
FOLDERS = {"ecoli": "ecoli_k12", "human": "human_chr20_1mb_1kgp"}


def ecoli(data: Path) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Held-out changes of coding sequence, and which are taken as damaging against the rest."""
    table = pd.read_csv(data / "consequence_snvs.tsv.gz", sep="\t")
    table = table[table["pos"] > HELD_OUT].reset_index(drop=True)
    kinds = table["label"].map({0: "synonymous", 1: "missense", 2: "nonsense"})
    return table, {f"{kind} / synonymous": kinds.map({kind: True, "synonymous": False}) for kind in ("nonsense", "missense")}


def human(data: Path) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Rare (seen once) against common variants (derived allele above 5%), and both by kind: common
    ones are older, and mutation at CpG makes rare ones of some kinds more often.
    """
    table = pd.read_csv(data / "snv_daf.tsv.gz", sep="\t")
    table = table[table["label"].notna() & (table["AA"] == table["ref"])].reset_index(drop=True)
    rare = table["label"].astype(bool)
    transition = pd.Series([{ref, alt} in ({"A", "G"}, {"C", "T"}) for ref, alt in zip(table["ref"], table["alt"], strict=True)])
    return table, {
        "rare / common": rare,
        "rare / common, transitions": rare.where(transition),
        "rare / common, transversions": rare.where(~transition),
    }


SETS: dict[str, Any] = {"ecoli": ecoli, "human": human}
NEUTRAL: dict[str, Any] = {"ecoli": {"exclude": "annotation.gff3.gz", "margin": 50}, "human": {}}


def auroc(label: pd.Series, score: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """AUROC and its standard error over 200 draws of variants with replacement."""
    known = label.notna().to_numpy() & np.isfinite(score)
    truth, score = label[known].astype(bool).to_numpy(), score[known]
    rng = derive_generator(seed, "bootstrap")
    draws = (rng.integers(0, truth.size, truth.size) for _ in range(200))
    return float(roc_auc_score(truth, score)), float(np.std([roc_auc_score(truth[i], score[i]) for i in draws]))


def scores_of(name: str, folder: Path, model: Any, args: argparse.Namespace) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Scores, what is asked of them, and facts of the run."""
    genome = Genome(folder / "genome.fa.gz")
    table, labels = SETS[name](folder)
    if len(table) > args.most:
        kept = np.sort(derive_generator(0, "subset").choice(len(table), args.most, replace=False))
        table, labels = (
            table.iloc[kept].reset_index(drop=True),
            {k: v.iloc[kept].reset_index(drop=True) for k, v in labels.items()},
        )
    where = dict(NEUTRAL[name])
    where = (
        where | {"exclude": folder / where["exclude"]} if where else {"neutral": [(genome.contigs[0], 0, int(genome.lengths[0]))]}
    )
    start = time.process_time()
    neutral = tl.neutral_expectation(genome, model, **where, n_sites=args.sites, progress_bar=False)
    expected = time.process_time() - start
    options: dict[str, Any] = {"embedding_distance": False, "progress_bar": False}
    start = time.process_time()
    found = tl.score_variants(table, genome, model, neutral=neutral, n_masks=args.masks, **options)
    scored = time.process_time() - start
    start = time.process_time()
    tl.score_variants(table, genome, model, **options)
    plain = time.process_time() - start
    alt = np.array(["ACGT".index(base) for base in found["alt"]], np.uint8)
    contigs = np.array([genome.contig_index(chrom) for chrom in found["chrom"]])
    _, spread = neutral.at(genome, contigs, found["pos"].to_numpy() - 1, alt)
    found["z"] = found["calibrated_llr"] / spread
    facts = (
        f"{len(table):,} variants; {neutral.n_sites:,} neutral sites of {neutral.n_available:,} ({neutral.sites}) in {expected:.0f} s; "
        f"scores in {plain:.0f} s, calibrated and under {args.masks} masks in {scored:.0f} s of processor time. Share of the variance of "
        f"llr at the variants that substitution and context explain: {1 - found['calibrated_llr'].var() / found['llr'].var():.3f}. "
        f"Rank correlation of masked_llr_sd with |llr|: {found['masked_llr_sd'].corr(found['llr'].abs(), method='spearman'):.3f}."
    )
    return found, labels, facts


def report(name: str, found: pd.DataFrame, labels: dict[str, Any], facts: str) -> list[str]:
    """A table of AUROC by score, lower values standing for the first class."""
    columns = {
        "llr": -found["llr"],
        "calibrated_llr": -found["calibrated_llr"],
        "calibrated_llr / spread": -found["z"],
        "masked_llr": -found["masked_llr"],
        "llr + masked_llr": -(found["llr"] + found["masked_llr"]),
        "masked_llr / masked_llr_sd": -(found["masked_llr"] / found["masked_llr_sd"]),
        "masked_llr_sd alone": found["masked_llr_sd"],
    }
    lines = ["", f"## {name}", "", facts, "", "| score | " + " | ".join(labels) + " |", "|---|" + "---:|" * len(labels)]
    for score, values in columns.items():
        cells = ("{:.3f} ± {:.3f}".format(*auroc(label, values.to_numpy(np.float64))) for label in labels.values())
        lines.append(f"| {score} | " + " | ".join(cells) + " |")
    counts = (f"{what}: {int((label == True).sum()):,} / {int((label == False).sum()):,}" for what, label in labels.items())  # noqa: E712
    return [*lines, "", "Variants: " + "; ".join(counts) + "."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, help="folder of a saved model")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")))
    parser.add_argument("--sites", type=int, default=20_000)
    parser.add_argument("--masks", type=int, default=8)
    parser.add_argument("--most", type=int, default=4_000, help="variants of a set")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    args = parser.parse_args()
    lines = [
        "# Calibrated and mask-averaged scores of variants",
        "",
        f"`python -m benchmarks.variant_calibration --sites {args.sites} --masks {args.masks} --most {args.most}` on {machine()}. "
        "AUROC with its bootstrap standard error; low values of a score stand for the first of two classes, of a deviation high ones. "
        "One seed. Neither set has a clean truth: consequences are read off the genetic code, and rare variants are not all harmful.",
    ]
    for name in SETS:
        if (path := getattr(args, name)) is not None:
            model = DNAMAE.load(path)
            found, labels, facts = scores_of(name, args.data / "dna" / FOLDERS[name], model, args)
            steps = int(model.history["step"].iloc[-1])
            lines += report(f"{name}, {steps} steps, window {model.window}", found, labels, facts)
    text = "\n".join(lines) + "\n"
    print(text)
    if args.out is not None:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
