"""What an alignment brings to a model of DNA: changes of one base in the genes of chromosomes that
were not trained on, told apart by what they do to the protein.

python -m benchmarks.aligned_dna --json FILE [--data FOLDER] [--folder DIR] [--models NAMES]
    [--seeds 3] [--steps 2000] [--report FILE]

The fungus *Zymoseptoria tritici*, 21 chromosomes of 39.7 Mb in all, and 12 genomes of it and of
four relatives, with genes, are in the Debian package ``maffilter-examples`` (``apt-get download``,
``dpkg-deb -x``; its licence is CeCILL); ``--data`` names its folder ``Ztritici``. The sequence of
the reference is put together from its rows.

Trained on are all chromosomes but three: one is validated on, and of two the changes are drawn, as
many nonsense, missense and synonymous ones. Models and settings are fixed by what is
validated; that other species alone are asked, too, and that relatives are predicted, was decided
after a first look at these two.
A score is log p(reference) - log p(alternative) with the base hidden, and AUROC says how often it
is higher for nonsense (missense) than for synonymous. All models take equal steps over windows of
128 bases, soft-masked bases weigh a tenth, and with an alignment, those that no relative shares,
too, as for GPN-MSA.

Every run is written to the file when it is done, and is not run again; checkpoints lie in
``--folder``, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.coding_variants import changes, coding_positions, sample
from r2mae_bio import tl
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna._aligned import with_columns
from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._columns import ColumnStart
from r2mae_bio.dna.fit._markov import MarkovModel
from r2mae_bio.dna.network._columns import log_shares
from r2mae_bio.io import Alignment, ColumnFrequencies, Genome, encode_bases, reverse_complement, split_genome
from r2mae_bio.masking import Fixed, Schedule, Uniform
from r2mae_bio.model import DNAMAE

DATA = Path("/usr/share/doc/maffilter/examples/Ztritici")
REFERENCE = "Ztritici_IPO323"
VALIDATED, SCORED = ["chr_11"], ["chr_10", "chr_13"]
WINDOW, BATCH, ORDER = 128, 32, 5
AROUND = 15
SIZES = {"d_model": 64, "n_layers": 3, "n_heads": 4, "attention_every": 3}
LAWS = {"fixed .15": Fixed(0.15), "fixed .5": Fixed(0.5), "dynamic .30 to .15": Schedule(0.30, 0.15), "uniform": Uniform(0, 1)}
MODELS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "sequence alone, uniform": ("uniform", None),
    "sequence alone, fixed .15": ("fixed .15", None),
    **{f"aligned, {law}": (law, {"diverged_weight": 0.1}) for law in LAWS},
    **{f"relatives, {law}": (law, {"target": "relatives"}) for law in LAWS},
    "aligned, uniform, clades hidden": ("uniform", {"diverged_weight": 0.1, "hidden_columns": "clades"}),
    "aligned, uniform, columns hidden": ("uniform", {"diverged_weight": 0.1, "hidden_columns": "whole"}),
    "other species aligned, uniform": ("uniform", {"diverged_weight": 0.1, "species": None}),
    "other species aligned, uniform, clades hidden": (
        "uniform",
        {"diverged_weight": 0.1, "hidden_columns": "clades", "species": None},
    ),
}
"""Law of the ratio, and what is passed to ``train``; ``species`` stands for those that are not of
the reference's own, as GPN-MSA leaves the nearest primates out.
"""


class Case(NamedTuple):
    """What is trained on and asked."""

    genome: Genome
    alignment: Alignment
    split: Any
    table: pd.DataFrame


# ---------------------------------------------------------------- data


def write_reference(maf: Path, path: Path, reference: str = REFERENCE) -> Path:
    """The sequence of the reference, case kept, N where no block lies; all its rows are of the plus
    strand."""
    contigs: dict[str, np.ndarray] = {}
    with gzip.open(maf, "rt") as stream:
        for line in stream:
            if line.startswith(f"s {reference}."):
                _, source, start, size, strand, length, text = line.split()
                assert strand == "+", line[:60]
                bases = contigs.setdefault(source.removeprefix(f"{reference}."), np.full(int(length), ord("N"), np.uint8))
                bases[int(start) : int(start) + int(size)] = np.frombuffer(text.replace("-", "").encode(), np.uint8)
    path.write_text("".join(f">{name}\n{bases.tobytes().decode()}\n" for name, bases in contigs.items()))
    return path


def open_case(data: Path, folder: Path, n: int) -> Case:
    maf, genes = data / "tba_refIPO323.maf.gz", next(data.glob("*.gff.gz"))
    folder.mkdir(parents=True, exist_ok=True)
    fasta = folder / "reference.fa"
    genome = Genome(fasta if fasta.exists() else write_reference(maf, fasta), cache_dir=folder / "cache")
    alignment = Alignment(maf, reference=REFERENCE, genome=genome, cache_dir=folder / "cache")
    rest = [name for name in genome.contigs if name not in VALIDATED + SCORED]
    split = split_genome(genome, train=rest, validation=VALIDATED)
    every = changes(genome, coding_positions(genes, set(SCORED)))
    print(f"{len(every):,} changes: {every['kind'].value_counts().to_dict()}, {n} of each kind drawn", flush=True)
    return Case(genome, alignment, split, sample(every, n, seed=0))


# ---------------------------------------------------------------- scores


def auroc(table: pd.DataFrame, score: np.ndarray) -> dict[str, float]:
    """Of nonsense and of missense against synonymous; what is less likely scores higher."""
    kind = table["kind"].to_numpy()
    out = {}
    for worse in ("nonsense", "missense"):
        rows = np.isin(kind, [worse, "synonymous"])
        out[worse] = float(roc_auc_score(kind[rows] == worse, score[rows]))
    return out


def scores_of(case: Case, model: Any) -> np.ndarray:
    found = tl.score_variants(
        case.table[["chrom", "pos", "ref", "alt"]], case.genome, model, embedding_distance=False, progress_bar=False
    )
    assert (found["status"] == "ok").all()
    return -found["llr"].to_numpy()


def of_logits(case: Case, logits: np.ndarray) -> np.ndarray:
    """Scores from logits at the changed bases, (n, 4)."""
    each = np.arange(len(logits))
    ref, alt = (encode_bases("".join(case.table[name])) for name in ("ref", "alt"))
    return logits[each, ref] - logits[each, alt]


def markov_scores(case: Case) -> np.ndarray:
    """Difference of the likelihoods of both windows, mean over the strands."""
    model = MarkovModel.count(case.genome, case.split.train, ORDER)
    contigs = np.array([case.genome.contig_index(name) for name in case.table["chrom"]])
    starts = case.table["pos"].to_numpy() - 1 - ORDER
    before = encode_bases(case.genome.windows(starts, 2 * ORDER + 1, contigs=contigs))
    after = before.copy()
    after[:, ORDER] = encode_bases("".join(case.table["alt"]))
    return (
        sum(
            model.nats(f(after))[:, ORDER:].sum(1) - model.nats(f(before))[:, ORDER:].sum(1)
            for f in (lambda x: x, reverse_complement)
        )
        / 2
    )


def controls(case: Case) -> dict[str, dict[str, float]]:
    """AUROC of what needs no network."""
    columns = AlignedColumns(case.alignment, case.genome)
    start = ColumnStart(case.genome, case.split, columns, seed=0)
    contigs = np.array([case.genome.contig_index(name) for name in case.table["chrom"]])
    context = torch.from_numpy(columns.at(contigs, case.table["pos"].to_numpy() - 1)).long()
    with torch.no_grad():
        readout = start.reading.readout(context).numpy()
        weighted = {pseudo: log_shares(context, start.weights, pseudo).numpy() for pseudo in (0.05, 0.5)}
    found = {
        f"columns, pseudocount {pseudo}": scores_of(case, ColumnFrequencies(case.alignment, pseudo=pseudo)) for pseudo in weighted
    }
    found |= {
        f"columns, pseudocount {pseudo}, weights of species": of_logits(case, logits) for pseudo, logits in weighted.items()
    }
    found |= {"columns, log-linear fit": of_logits(case, readout), f"Markov, order {ORDER}": markov_scores(case)}
    found["columns and which neighbours vary"] = found["columns, pseudocount 0.05"] + neighbour_scores(case)
    return {name: auroc(case.table, score) for name, score in found.items()}


def neighbour_scores(case: Case, n: int = 200_000) -> np.ndarray:
    """Log-odds, by which positions around vary, that no relative differs from the reference; by
    gradient boosting over the contig that is validated on.
    """
    own = np.array([one.split("_")[0] == REFERENCE.split("_")[0] for one in case.alignment.species])
    kinds, readable = variability(case, VALIDATED[0], own)
    places = np.flatnonzero(readable)[AROUND:-AROUND]
    drawn = derive_generator(0, "neighbours").choice(places, min(n, len(places)), replace=False)
    model = HistGradientBoostingClassifier(max_iter=150, random_state=0).fit(around(kinds, drawn), kinds[0, drawn] > 0)
    score = np.empty(len(case.table))
    for contig in SCORED:
        rows = (case.table["chrom"] == contig).to_numpy()
        asked = around(variability(case, contig, own)[0], case.table["pos"].to_numpy()[rows] - 1)
        varies = model.predict_proba(asked)[:, 1]
        score[rows] = np.log1p(-varies) - np.log(varies)
    return score


def variability(case: Case, contig: str, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether another kind, and one of the reference's own, differs at each position, shares of
    other kinds that are aligned and that differ, float32 (4, L); and where any is aligned, (L,).
    """
    length = int(case.genome.lengths[case.genome.contig_index(contig)])
    columns = case.alignment.columns(contig, 0, length)
    reference = np.frombuffer(case.genome.fetch(contig).upper().encode(), np.uint8)
    aligned = (columns != ord("-")) & (columns != ord("."))
    differs = aligned & (columns != reference)
    n_aligned, n_differ = aligned[~own].sum(0), differs[~own].sum(0)
    rows = [n_differ > 0, differs[own].any(0), n_aligned / (~own).sum(), n_differ / np.maximum(n_aligned, 1)]
    return np.array(rows, np.float32), n_aligned > 0


def around(kinds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """What stands within 15 positions of each, itself left out, (n, 4 x 30)."""
    offsets = [offset for offset in range(-AROUND, AROUND + 1) if offset]
    at = np.clip(positions[:, None] + offsets, 0, kinds.shape[1] - 1)
    return kinds[:, at].transpose(1, 0, 2).reshape(len(positions), -1)


def validation_nats(case: Case, model: DNAMAE, n: int = 512, ratio: float = 0.15) -> float:
    """Nats per hidden base that is not soft-masked, by the same windows and masks for all."""
    rng = derive_generator(0, "validation of aligned DNA")
    contig = case.genome.contig_index(VALIDATED[0])
    starts = rng.integers(0, case.genome.lengths[contig] - WINDOW, n)
    letters = case.genome.windows(starts, WINDOW, contigs=contig)
    codes = encode_bases(letters)
    hidden = rng.random(codes.shape) < ratio
    columns = model.columns_over(case.genome)
    read = codes if columns is None else with_columns(codes, columns.windows(starts, WINDOW, contigs=contig))
    asked = hidden & (codes < 4) & (letters < ord("a"))
    return float(-model.log_probs(read, hidden)[asked, codes[asked]].mean())


def run(case: Case, name: str, seed: int, steps: int, folder: Path) -> dict[str, Any]:
    """Train a model, or go on with it, and score."""
    law, chosen = MODELS[name]
    aligned = None if chosen is None else {key: value for key, value in chosen.items() if key not in ("species", "target")}
    target = (chosen or {}).get("target", "genome")
    others = [one for one in case.alignment.species if one.split("_")[0] != REFERENCE.split("_")[0]]
    began = time.perf_counter()
    alignment = None if aligned is None else case.alignment
    model = DNAMAE(
        case.genome, window=WINDOW, mask_ratio=LAWS[law], seed=seed, alignment=alignment,
        species=others if "species" in (chosen or {}) else None, target=target, **SIZES,
    )  # fmt: skip
    at = folder / f"{name.replace(' ', '_').replace(',', '')}_{steps}_{seed}"
    epochs = max(1, steps // 500)
    if (at / f"step_{steps:08}").exists():  # it was stopped while it was scored
        model = DNAMAE.load(at, alignment=alignment)
    else:
        model.train(
            epochs, split=case.split, batch_size=BATCH, epoch_windows=BATCH * steps // epochs, repeat_weight=0.1, progress_bar=False,
            precision="32-true", checkpoint_dir=at, resume_from=at if any(at.glob("step_*")) else None, **(aligned or {}),
        )  # fmt: skip
    trained = time.perf_counter() - began
    found = {"model": name, "seed": seed, "steps": steps, "seconds": trained, "floors": model.floors}
    nats = validation_nats(case, model) if target == "genome" else None  # of relatives it is of another kind
    return {**found, "validation_nats": nats, **auroc(case.table, scores_of(case, model))}


# ---------------------------------------------------------------- report


def report(results: dict[str, Any]) -> str:
    """Tables of what was run."""
    rows = pd.DataFrame(results["runs"])
    lines = ["| score | nonsense | missense | validation nats | seeds |", "|---|---|---|---|---|"]
    for name, found in results["controls"].items():
        lines.append(f"| {name} | {found['nonsense']:.3f} | {found['missense']:.3f} | | |")
    for name in MODELS:
        of = rows[rows["model"] == name] if len(rows) else rows
        if len(of):
            shown = [f"{of[key].mean():.3f} ± {of[key].std(ddof=0):.3f}" for key in ("nonsense", "missense")]
            nats = of["validation_nats"].astype(float).mean()
            lines.append(f"| {name} | {shown[0]} | {shown[1]} | {'' if np.isnan(nats) else f'{nats:.4f}'} | {len(of)} |")
    return "\n".join(lines + verdict(results["controls"], rows))


def verdict(found: dict[str, dict[str, float]], rows: pd.DataFrame) -> list[str]:
    """How far the aligned models are from what they have to beat, by nonsense."""
    if not len(rows):
        return []
    means = rows.groupby("model")["nonsense"].mean()
    alone, aligned = (means[means.index.str.contains(kind)] for kind in ("sequence", "aligned|relatives"))
    if alone.empty or aligned.empty:
        return []
    columns = {name: value["nonsense"] for name, value in found.items() if name.startswith("columns")}
    best = max(columns, key=columns.get)
    lines = ["", f"Nonsense against synonymous, over sequence alone ({alone.idxmax()}) and over the best columns ({best}):"]
    return [
        *lines,
        "",
        *(f"- {name}: {value - alone.max():+.3f} and {value - columns[best]:+.3f}" for name, value in aligned.items()),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="results; runs that are in it are not run again")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=Path("aligned_dna"), help="caches and checkpoints")
    parser.add_argument("--models", default="all", help="names, separated by semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--variants", type=int, default=3000, help="of each kind")
    parser.add_argument("--report", type=Path, help="where the tables go")
    options = parser.parse_args(arguments)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    results = json.loads(options.json.read_text()) if options.json.exists() else {"controls": {}, "runs": []}
    case = open_case(options.data, options.folder, options.variants)
    results["controls"] = results["controls"] or controls(case)
    options.json.write_text(json.dumps(results, indent=1))
    print(report(results), flush=True)
    names = list(MODELS) if options.models == "all" else options.models.split(";")
    for seed in range(options.seeds):
        for name in names:
            if not any((r["model"], r["seed"], r["steps"]) == (name, seed, options.steps) for r in results["runs"]):
                results["runs"].append(run(case, name, seed, options.steps, options.folder))
                options.json.write_text(json.dumps(results, indent=1))
                print(json.dumps(results["runs"][-1]), flush=True)
    print(report(results))
    if options.report:
        options.report.write_text(report(results) + "\n")


if __name__ == "__main__":
    main()
