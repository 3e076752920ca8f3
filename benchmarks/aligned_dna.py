"""What an alignment brings to a model of DNA: changes of one base in genes that were not trained
on, told apart by what they do to the protein.

python -m benchmarks.aligned_dna --json FILE [--case ztritici | chr22] [--data FOLDER]
    [--genes FILE] [--folder DIR] [--models NAMES] [--seeds 3] [--steps 2000] [--report FILE]

Both alignments are in the Debian package ``maffilter-examples`` (``apt-get download``, ``dpkg-deb
-x``; its licence is CeCILL); ``--data`` names the folder, ``Ztritici`` or ``Gorilla``. The sequence
of the reference is put together from its rows, N where there is none.

- ``ztritici``: the fungus *Zymoseptoria tritici*, 21 chromosomes of 39.7 Mb in all, and 12 genomes
  of it and of four relatives, with genes. Trained on are all chromosomes but three: one is
  validated on, and of two the changes are drawn. Models and settings are fixed by what is
  validated; that other species alone are asked, too, and that relatives are predicted, was decided
  after a first look at these two.
- ``chr22``: human chromosome 22 of GRCh37, 21.6 Mb of it beside chimpanzee, gorilla and orangutan,
  in 9,627 blocks. Genes come from elsewhere (``--genes``). Changes are drawn at 24 to 28 and 38 to
  42 Mb, 32 to 34 Mb is validated on, the rest but a window beside these is trained on. Nothing was
  chosen by looking at them; that substitutions are counted was decided after a first look.

As many nonsense, missense and synonymous changes are drawn. On chr22 few genes are covered from end
to end, so codons of others count, too, as long as what is known of the gene reads through.
A score is log p(reference) - log p(alternative) with the base hidden, and AUROC says how often it
is higher for nonsense (missense) than for synonymous. All models take equal steps over windows of
128 bases, soft-masked bases weigh a tenth, and with an alignment, those that no relative shares,
too, as for GPN-MSA.

Every run is written to the file when it is done, and is not run again; checkpoints lie in
``--folder``, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.aligned_cases import SETTINGS, Case, open_case
from benchmarks.aligned_controls import auroc, controls, scores_of
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna._aligned import with_columns
from r2mae_bio.io import encode_bases
from r2mae_bio.masking import Fixed, Schedule, Uniform
from r2mae_bio.model import DNAMAE

GENES = """genes, GFF or GTF with CDS lines; ztritici: those beside the alignment if not given; chr22: any
of GRCh37, such as GENCODE 19 or refGene of UCSC; the data frame gtf_dataframe of the R package
polyester is one, to be written by write.table(gtf_dataframe, "genes.gtf", sep="\\t", quote=FALSE,
row.names=FALSE, col.names=FALSE)"""
WINDOW, BATCH = 128, 32
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


def validation_nats(case: Case, model: DNAMAE, n: int = 512, ratio: float = 0.15) -> float:
    """Nats per hidden base that is not soft-masked, by the same windows and masks for all."""
    rng = derive_generator(0, "validation of aligned DNA")
    name, start, end = case.validated
    contig, starts = case.genome.contig_index(name), rng.integers(start, end - WINDOW, n)
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
    began = time.perf_counter()
    alignment = None if aligned is None else case.alignment
    model = DNAMAE(
        case.genome, window=WINDOW, mask_ratio=LAWS[law], seed=seed, alignment=alignment,
        species=case.others if "species" in (chosen or {}) else None, target=target, **SIZES,
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
    parser.add_argument("--case", choices=list(SETTINGS), default="ztritici")
    parser.add_argument("--data", type=Path, help="folder of the alignment; that of the installed package if not given")
    parser.add_argument("--genes", type=Path, help=GENES)
    parser.add_argument("--folder", type=Path, default=Path("aligned_dna"), help="caches and checkpoints")
    parser.add_argument("--models", default="all", help="names, separated by semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--variants", type=int, default=3000, help="of each kind")
    parser.add_argument("--report", type=Path, help="where the tables go")
    options = parser.parse_args(arguments)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    results = json.loads(options.json.read_text()) if options.json.exists() else {"controls": {}, "runs": []}
    setting, folder = SETTINGS[options.case], options.folder / options.case
    if results.setdefault("case", options.case) != options.case:
        parser.error(f"{options.json} has results of {results['case']}")
    if options.genes is None and setting.genes is None:
        parser.error(f"--case {options.case} needs --genes")
    case = open_case(setting, options.data or setting.data, options.genes, folder, options.variants, gap=WINDOW)
    results["controls"] = results["controls"] or controls(case)
    options.json.write_text(json.dumps(results, indent=1))
    print(report(results), flush=True)
    names = list(MODELS) if options.models == "all" else options.models.split(";")
    for seed in range(options.seeds):
        for name in names:
            if not any((r["model"], r["seed"], r["steps"]) == (name, seed, options.steps) for r in results["runs"]):
                results["runs"].append(run(case, name, seed, options.steps, folder))
                options.json.write_text(json.dumps(results, indent=1))
                print(json.dumps(results["runs"][-1]), flush=True)
    print(report(results))
    if options.report:
        options.report.write_text(report(results) + "\n")


if __name__ == "__main__":
    main()
