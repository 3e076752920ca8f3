"""Genomes, variants and labelled sequences, as files or tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.datasets._registry import fetch

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["ecoli_k12", "gue_mouse_2", "human_chr20", "lambda_phage"]


def lambda_phage() -> Path:
    """Genome of phage lambda (NC_001416.1): 48,502 bases, 49.9% G or C, gzipped FASTA; needs no
    network.

    Returns
    -------
    Path of the file.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    return fetch("lambda_phage")


def ecoli_k12(*, cache_dir: str | Path | None = None) -> Path:
    """Genome of *Escherichia coli* K-12 MG1655 (NC_000913.3): 4,641,652 bases, gzipped FASTA;
    downloaded once (1.4 MB). The chromosome is circular.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    Path of the file.

    Raises
    ------
    DataError
        The file could not be downloaded or is not the registered one.
    """
    return fetch("ecoli_k12", cache_dir=cache_dir)


def human_chr20(*, cache_dir: str | Path | None = None) -> tuple[Path, Path]:
    """A million bases of human chromosome 20 (GRCh37) and the 28,998 sites of the 1000 Genomes in
    them; downloaded once (1.6 MB). The contig is named ``z`` in both files.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    Paths of the FASTA and of the VCF file.

    Raises
    ------
    DataError
        A file could not be downloaded or is not the registered one.
    """
    return fetch("human_chr20", cache_dir=cache_dir), fetch("human_chr20_variants", cache_dir=cache_dir)


def gue_mouse_2(*, cache_dir: str | Path | None = None) -> pd.DataFrame:
    """Sequences of 101 bases, bound by a mouse transcription factor or not, with the split of the
    GUE benchmark (its task ``mouse/2``): 3,276 rows; downloaded once (0.3 MB).

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    A frame with ``sequence`` (str), ``label`` (int, 0 or 1) and ``split`` (str: train, dev, test),
    as ``DNAMAE.finetune`` takes it.

    Raises
    ------
    DataError
        A file could not be downloaded or is not the registered one.
    """
    import pandas as pd

    parts = ("train", "dev", "test")
    read = [pd.read_csv(fetch(f"gue_mouse_2_{part}", cache_dir=cache_dir)).assign(split=part) for part in parts]
    return pd.concat(read, ignore_index=True)
