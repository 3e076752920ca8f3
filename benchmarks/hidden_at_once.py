"""What it costs to hide several bases of a window in one reading, and what it saves: bases per
second beside the likelihood of the true base, and the ratios of substitutions beside those of bases
hidden alone.

python -m benchmarks.hidden_at_once --model [NAME=]DIR [--model ...] [--bases 20000]
[--asked 64:1,64:8,128:16] [--no-changes] [--data DIR] [--out FILE]

E. coli K-12, the part that ``dna_pretraining`` holds out. Rows are pairs of ``stride`` and
``hidden_at_once``, beside every base alone in the middle of its own window. The AUROC is that of
nonsense against synonymous changes, by the log-likelihood ratio; ``--no-changes`` leaves it out, as
for the speed of a network that learnt nothing. One thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.dna_pretraining import GENOMES, open_genome
from benchmarks.gene_sets import DATA
from r2mae_bio import tl
from r2mae_bio.model import DNAMAE

if TYPE_CHECKING:
    from r2mae_bio.io import Genome

NAME = "ecoli"
LLR = [f"llr_{base}" for base in "ACGT"]
COLUMNS = ("stride", "hidden at once", "spacing", "log-likelihood", "r of llr", "AUROC", "bases/CPU s", "times as fast")
FORMS = {"log-likelihood": ".4f", "r of llr": ".4f", "AUROC": ".3f", "bases/CPU s": ",.0f", "times as fast": ".1f"}
ASKED = "64:1,64:2,64:4,64:8,64:16,64:32,128:1,128:8,128:16,128:32,192:24"


def sites(data: Path, contig: str, first: int) -> pd.DataFrame:
    """Nonsense and synonymous changes behind a position."""
    table = pd.read_csv(data / "dna" / GENOMES[NAME][0] / "consequence_snvs.tsv.gz", sep="\t")
    wanted = (table.chrom == contig) & (table.pos > first) & table.label.isin([0, 2])
    return table[wanted].reset_index(drop=True)


def ratios_at(table: pd.DataFrame, genome: Genome, model: DNAMAE, **settings: int) -> np.ndarray:
    """The log-likelihood ratio of each change, (n,): the same as of the whole genome, as what is
    hidden along with a base does not depend on what is asked for.
    """
    places = pd.DataFrame({"chrom": table.chrom, "start": table.pos - 1, "end": table.pos})
    with tempfile.TemporaryDirectory() as folder:
        files = tl.saturation_track(
            places, genome, model, out=Path(folder) / "a.bedgraph", value=LLR, progress_bar=False, **settings
        )
        tracks = [pd.read_csv(file, sep="\t", header=None, index_col=2)[3] for file in files]
    found = np.column_stack([track.loc[table.pos].to_numpy() for track in tracks])
    return found[np.arange(len(table)), ["ACGT".index(base) for base in table.alt]]


def auroc(changes: pd.DataFrame, genome: Genome, model: DNAMAE, **settings: int) -> float:
    return float(roc_auc_score(changes.label == 2, -ratios_at(changes, genome, model, **settings)))


def measure(model: DNAMAE, genome: Genome, region: tuple[str, int, int], changes: pd.DataFrame, **settings: int) -> dict:
    begin = time.process_time()
    table = tl.saturation_mutagenesis(region, genome, model, **settings)
    seconds = time.process_time() - begin
    codes = table.ref.map("ACGT".index).to_numpy()
    log_p = table[[f"logp_{base}" for base in "ACGT"]].to_numpy()
    return {
        "log-likelihood": log_p[np.arange(len(codes)), codes].mean(),
        "llr": table[LLR].to_numpy()[np.arange(4) != codes[:, None]],
        "bases/CPU s": len(table) / seconds,
        "AUROC": auroc(changes, genome, model, **settings) if len(changes) else np.nan,
    }


def table_of(model: DNAMAE, genome: Genome, split, args: argparse.Namespace) -> pd.DataFrame:
    """One row for each way to ask."""
    contig, first = genome.contigs[0], int(split.validation.start[0])
    region, changes = (contig, first, first + args.bases), sites(args.data, contig, first)
    changes = changes if args.changes else changes[:0]
    tl.saturation_mutagenesis((contig, first, first + 256), genome, model)  # libraries prepare themselves
    rows = []
    for stride, at_once in [(1, 1), *args.asked]:
        found = measure(model, genome, region, changes, stride=stride, hidden_at_once=at_once)
        alone = rows[0] if rows else found
        found |= {"stride": stride, "hidden at once": at_once, "spacing": "" if at_once == 1 else -(-stride // at_once)}
        found["r of llr"] = np.corrcoef(found["llr"], alone["llr"])[0, 1]
        found["times as fast"] = found["bases/CPU s"] / alone["bases/CPU s"]
        rows.append(found)
        print({name: found[name] for name in COLUMNS}, flush=True)
    return pd.DataFrame(rows)[list(COLUMNS)]


def markdown(table: pd.DataFrame) -> str:
    lines = [COLUMNS, ["---:"] * len(COLUMNS)]
    lines += [[format(row[name], FORMS.get(name, "")) for name in COLUMNS] for row in table.to_dict("records")]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="folder of a model of E. coli; NAME= names it")
    parser.add_argument("--bases", type=int, default=20_000)
    parser.add_argument("--asked", default=ASKED, help="stride:hidden_at_once, comma-separated")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--changes", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    args.asked = [tuple(map(int, pair.split(":"))) for pair in args.asked.split(",")]
    torch.set_num_threads(1)
    genome, split = open_genome(NAME, args.data)
    parts = []
    for text in args.model:
        name, _, folder = text.rpartition("=")
        model = DNAMAE.load(folder)
        facts = f"window {model.window}, {args.bases:,} bases"
        parts.append(f"### {name or Path(folder).name}: {facts}\n\n{markdown(table_of(model, genome, split, args))}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
