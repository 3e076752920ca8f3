"""Embeddings of sequences and of regions as tables, with what they say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from r2mae_bio._errors import RegionError
from r2mae_bio._keys import first_names
from r2mae_bio._version import __version__
from r2mae_bio._warn import warn
from r2mae_bio.dna._aligned import columns_over, with_columns
from r2mae_bio.dna.genome._bases import encode_bases
from r2mae_bio.dna.model._mean_states import mean_states, stack_tiles
from r2mae_bio.dna.model._tiles import choose_overlap
from r2mae_bio.dna.regions._intervals import leave_contig
from r2mae_bio.dna.sequences._sequences import read_sequences
from r2mae_bio.dna.sequences._table import encode_sequences

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import Columns, StateModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.model._tiles import Tiles


class Embedding(NamedTuple):
    """One embedding per sequence or region."""

    values: NDArray[np.float32]
    """Mean states, (n, D); NaN where no base is known."""
    table: pd.DataFrame
    """One row each: ``length`` and ``n_valid`` (int64), bases and known ones, beside what names
    it.
    """
    record: dict[str, Any]
    """Where it comes from: texts and whole numbers, as h5ad can hold them."""


def embed_sequences(
    sequences: str | Path | Sequence[str] | pd.Series,
    model: StateModel,
    *,
    layer: int,
    strand: str,
    overlap: int | None,
    batch_size: int | None,
) -> Embedding:
    """Embed sequences of any length.

    Parameters
    ----------
    sequences
        See :func:`r2mae_bio.io.read_sequences`.
    model
        The model.
    layer, strand, overlap, batch_size
        See :func:`mean_states`.

    Returns
    -------
    The embedding; the rows of its table are called as the sequences.

    Raises
    ------
    FastaError, NotDNAError
        The sequences cannot be read.
    ConfigError
        The strand or the overlap cannot be used.
    """
    names, texts = read_sequences(sequences)
    codes = encode_sequences(texts)
    lengths = np.array([row.size for row in codes])
    values, n_valid = mean_states(
        lengths, stack_tiles(codes), model, layer=layer, strand=strand, overlap=overlap, batch_size=batch_size
    )
    _warn_unknown(names, n_valid, "sequences")
    table = pd.DataFrame({"length": lengths, "n_valid": n_valid}, index=pd.Index(names, dtype=object))
    return Embedding(values, table, _describe(model, layer=layer, strand=strand, overlap=overlap))


def embed_regions(
    regions: pd.DataFrame,
    genome: Genome,
    model: StateModel,
    *,
    layer: int,
    strand: str,
    overlap: int | None,
    batch_size: int | None,
) -> Embedding:
    """Embed regions of a genome, whose bases are read as they are needed.

    Parameters
    ----------
    regions
        See :func:`r2mae_bio.io.read_regions`.
    genome
        The genome.
    model
        The model.
    layer, strand, overlap, batch_size
        See :func:`mean_states`.

    Returns
    -------
    The embedding; its table is that of the regions with two further columns.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        A region does not lie on the genome.
    ConfigError
        The strand or the overlap cannot be used.
    SetupError
        The model reads an alignment and does not have one over this genome.
    """
    lengths = regions["end"] - regions["start"]
    values, n_valid = mean_states(
        lengths.to_numpy(),
        _RegionReader(regions, genome, columns_over(model, genome)),
        model,
        layer=layer,
        strand=strand,
        overlap=overlap,
        batch_size=batch_size,
    )
    _warn_unknown(regions["name"].tolist(), n_valid, "regions")
    record = {
        **_describe(model, layer=layer, strand=strand, overlap=overlap),
        "genome": ", ".join(path.name for path in genome.sources),
        "genome_fingerprint": genome.cache.name,
    }
    return Embedding(values, regions.assign(length=lengths, n_valid=n_valid), record)


class _RegionReader:
    """Reads tiles of regions straight from the genome, and from the alignment over it."""

    def __init__(self, table: pd.DataFrame, genome: Genome, columns: Columns | None) -> None:
        numbers = {name: genome.contig_index(name) for name in dict.fromkeys(table["chrom"])}
        self._contig = table["chrom"].map(numbers).to_numpy(np.int64)
        self._start, self._end = (table[name].to_numpy() for name in ("start", "end"))
        self._reverse = (table["strand"] == "-").to_numpy()
        self._genome, self._columns = genome, columns
        self._check(table)

    def _check(self, table: pd.DataFrame) -> None:
        wrong = leave_contig(self._genome, self._contig, self._start, self._end)
        if wrong.any():
            i = int(np.argmax(wrong))
            size = self._genome.lengths[self._contig[i]]
            message = (
                f"{int(wrong.sum())} of {len(table)} regions leave their contig, first {table['name'].iloc[i]} (row {i}): it goes from "
                f"{self._start[i]} to {self._end[i]}, and {table['chrom'].iloc[i]} has {size} bases. Needed are regions on the genome; "
                "is it the assembly they were made on?"
            )
            raise RegionError(message)

    def __call__(self, tiles: Tiles) -> NDArray[np.uint8]:
        length, region = int(tiles.length[0]), tiles.sequence
        reverse = self._reverse[region]
        # on the strand "-" a tile is counted from the end of the region
        start = np.where(reverse, self._end[region] - tiles.start - length, self._start[region] + tiles.start)
        codes = encode_bases(self._genome.windows(start, length, contigs=self._contig[region], reverse=reverse))
        if self._columns is None:
            return codes
        return with_columns(codes, self._columns.windows(start, length, contigs=self._contig[region], reverse=reverse))


def _warn_unknown(names: Sequence[str], n_known: NDArray[np.int64], what: str) -> None:
    empty = [name for name, n in zip(names, n_known.tolist(), strict=True) if n == 0]
    if empty:
        message = f"{len(empty)} of {len(names)} {what} hold no A, C, G or T, and their embedding is NaN: {first_names(empty)}."
        warn(message)


def _describe(model: StateModel, *, layer: int, strand: str, overlap: int | None) -> dict[str, Any]:
    return {
        "model": type(model).__name__,
        "model_checksum": model.checksum(),
        "layer": int(layer),
        "strand": strand,
        "pooling": "mean over A, C, G and T",
        "window": int(model.window),
        "overlap": choose_overlap(overlap, model.window),
        "version_r2mae_bio": __version__,
    }
