"""Pretrain the model of benchmarks.dna_probes on the sequences of the tasks' train parts, without
labels.

python -m benchmarks.dna_probes_pretrain --folder DIR [--epochs 4] [--batch-size 128] [--ratio R]

Sequences that share a 24-mer, on either strand, with a dev or test sequence of any task are left
out. --ratio pretrains at that fixed mask ratio instead of R2MAE's random one. Arithmetic is float32
on every device.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.dna_probes import TASKS
from r2mae_bio.dna.genome._kmers import canonical_words, known_words
from r2mae_bio.io import Genome, encode_bases, split_genome
from r2mae_bio.model import DNAMAE

K = 24
SETTINGS = {"d_model": 64, "n_layers": 4, "attention_every": 4}
WINDOW = 70  # the shortest sequences of the tasks
BATCHES = 2000  # of an epoch


def words(sequence: str) -> np.ndarray:
    """Its 24-mers as numbers, one for both strands."""
    codes = encode_bases(sequence.encode())
    return canonical_words(codes, K)[known_words(codes, K)] if codes.size >= K else np.zeros(0, np.uint64)


def sequences(data: Path) -> tuple[pd.Series, pd.Series]:
    """Train sequences to learn from, and those of the other parts."""
    train, other = [], []
    for path in TASKS.values():
        table = pd.read_csv(data / "dna" / f"{path}.tsv.gz", sep="\t")
        train.append(table.sequence[table.split == "train"])
        other.append(table.sequence[table.split != "train"])
    segments = pd.read_csv(data / "dna/splice_korf/eie_ce.tsv.gz", sep="\t")
    whole = segments.exon5 + segments.intron + segments.exon3
    train = [part for part, path in zip(train, TASKS.values(), strict=True) if not path.startswith("splice")]
    return pd.concat([*train, whole[segments.split == "train"]]).drop_duplicates(), pd.concat(
        [*other, whole[segments.split != "train"]]
    )


def write_corpus(data: Path, path: Path) -> None:
    train, other = sequences(data)
    held_out = np.unique(np.concatenate([words(s) for s in other.drop_duplicates()]))
    numbers = [words(s) for s in train]
    lengths = np.array([n.size for n in numbers])
    row = np.repeat(np.arange(len(train)), lengths)
    shared = np.unique(row[np.isin(np.concatenate(numbers), held_out)])
    kept = [s for s in np.delete(train.to_numpy(), shared) if len(s) >= WINDOW]
    np.random.default_rng(0).shuffle(kept)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(kept)))
    temporary.replace(path)
    print(
        f"{len(train):,} train sequences, {len(shared):,} left out for a shared {K}-mer, "
        f"{len(kept):,} kept, {sum(map(len, kept)) / 1e6:.1f} M bases",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data")))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=4, help="of 2,000 batches")
    parser.add_argument("--batch-size", type=int, default=128, help="windows per step")
    parser.add_argument("--ratio", type=float, help="hide this share of every window; R2MAE if not given")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    corpus = args.folder / "corpus.fa"
    if not corpus.exists():
        write_corpus(args.data, corpus)
    genome = Genome(corpus, cache_dir=args.folder)
    names = list(genome.contigs)
    split = split_genome(genome, validation=names[-len(names) // 50 :])
    model = DNAMAE(genome, window=WINDOW, mask_ratio=(0, 1) if args.ratio is None else args.ratio, **SETTINGS)
    checkpoints = args.folder / "checkpoints"
    resume = checkpoints if any(checkpoints.glob("step_*")) else None
    model.train(
        args.epochs, split=split, batch_size=args.batch_size, epoch_windows=BATCHES * args.batch_size, precision="32-true",
        checkpoint_dir=checkpoints, resume_from=resume, progress_bar=False, train_kwargs={"learning_rate": 3e-3},
    )  # fmt: skip
    print(model.history.T.to_string())
    print(model.save(args.folder / "model", overwrite=True))


if __name__ == "__main__":
    main()
