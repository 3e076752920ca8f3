"""Genomes: ``DNAMAE`` on yeast and on E. coli, the last fifth of every contig held out."""

from __future__ import annotations

import gzip
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.dna_pretraining import held_out_windows
from benchmarks.systems.laws import RATIOS
from benchmarks.systems.probes import probe_scores
from benchmarks.systems.system import Inputs, Loaded, MissingDataError, Network
from r2mae_bio._rng import derive_generator
from r2mae_bio.io import Genome, WindowSampler, encode_bases, split_genome
from r2mae_bio.model import DNAMAE

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.masking import RatioLaw

GENOMES = {"yeast": "yeast_w303", "E. coli": "ecoli_k12"}
HOW = """{folder} has no genome.fa.gz and annotation.gff3.gz. Needed is a folder with a genome (FASTA, bgzip) and
its genes (GFF3, gzip), as dna/{name} in the folder that R2MAE_BIO_DATA or --data names."""
_POSITIONS = 64
_CHUNK = 256
FEW = 0.02
"""Share of the bases that is hidden where nearly all are seen."""


class Windows:
    """Windows of a genome under one seed."""

    def __init__(self, folder: Path, seed: int, settings: dict[str, Any]) -> None:
        fasta, annotation = folder / "genome.fa.gz", folder / "annotation.gff3.gz"
        if not (fasta.is_file() and annotation.is_file()):
            raise MissingDataError(HOW.format(folder=folder, name=folder.name))
        self.genome = Genome(fasta)
        self.split = split_genome(self.genome, validation=0.2)
        length = settings["window"]
        self.test = held_out_windows(self.genome, self.split, length, settings["n_test"])
        strands = _coding_strands(self.genome, annotation)
        self.train, self.labels = self._probed(self.split.train, strands, length, settings["n_probe"], seed)
        self.query, self.truth = self._probed(self.split.validation, strands, length, settings["n_probe"] // 2, seed)

    def _probed(
        self, part: Any, strands: NDArray[np.str_], length: int, n: int, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
        starts = WindowSampler(self.genome, part, length).draw(n, derive_generator(seed, "probed windows"))
        return encode_bases(self.genome.windows(starts, length)), strands[starts + length // 2]


def _coding_strands(genome: Genome, annotation: Path) -> NDArray[np.str_]:
    """Of every base the strand that codes for protein, ``"+"``, ``"-"`` or ``"neither"``."""
    codes = np.zeros(int(genome.offsets[-1] + genome.lengths[-1]), np.uint8)
    with gzip.open(annotation, "rt") as lines:
        for line in lines:
            fields = line.split("\t")
            if len(fields) > 6 and fields[2] == "CDS":
                begin = genome.offsets[genome.contig_index(fields[0])]
                codes[begin + int(fields[3]) - 1 : begin + int(fields[4])] = 1 + (fields[6] == "-")
    return np.array(["neither", "+", "-"])[codes]


def load(seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
    """Two genomes, one network each."""
    networks, inputs = {}, {}
    n = settings["steps"] * settings["batch"]
    for name, folder in GENOMES.items():
        windows = Windows(options.data / "dna" / folder, seed, settings)
        networks[name] = Network(partial(_train, windows, seed, settings, options), name)
        inputs[name] = Inputs(_contrasts(windows.train), n)
    about = {"window": settings["window"], "windows": n, "steps": settings["steps"], "batch": settings["batch"]}
    return Loaded(networks, inputs, about)


def _contrasts(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Three indicators (A, C, G) for each of the first bases (n, 3 * positions)."""
    return (codes[:, :_POSITIONS, None] == np.arange(3)).reshape(len(codes), -1).astype(np.float64)


def _train(windows: Windows, seed: int, settings: dict[str, Any], options: Namespace, law: RatioLaw) -> dict[str, float]:
    sizes = {"d_model": settings["d_model"], "n_heads": 4, "n_layers": settings["n_layers"]}
    model = DNAMAE(windows.genome, window=settings["window"], mask_ratio=law, seed=seed, **sizes)
    model.train(
        1, split=windows.split, batch_size=settings["batch"], epoch_windows=settings["steps"] * settings["batch"], progress_bar=False,
        accelerator="gpu" if options.device == "cuda" else "cpu", devices=1, limit_val_batches=0,
    )  # fmt: skip
    states = [_pooled(model, codes) for codes in (windows.train, windows.query)]
    return _nats(model, windows.test, seed) | probe_scores(
        states[0], windows.labels, states[1], windows.truth, what="coding strand "
    )


def _pooled(model: DNAMAE, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean state of the forward strand (n, d_model): the mean over both could not tell them
    apart.
    """
    parts = [model.states(codes[i : i + _CHUNK], strand="+").mean(1) for i in range(0, len(codes), _CHUNK)]
    return np.concatenate(parts)


def _nats(model: DNAMAE, codes: NDArray[np.uint8], seed: int) -> dict[str, float]:
    """Nats of a hidden base, forward strand, with few bases hidden and at each ratio."""
    found = {}
    for i, ratio in enumerate((FEW, *RATIOS)):
        keys = derive_generator(seed, "dna test", i).random(codes.shape)
        n_hidden = max(1, round(ratio * codes.shape[1]))
        hidden = keys <= np.partition(keys, n_hidden - 1, axis=1)[:, n_hidden - 1 : n_hidden]
        row, position = np.nonzero(hidden)
        log_probs = model.log_probs(codes, hidden, strand="+")
        found[f"nats {ratio:.0%}"] = float(-log_probs[row, position, codes[row, position]].mean())
    return found
