"""A whole-genome alignment on disk, read at random by position of its reference."""

from __future__ import annotations

import math
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, RegionError
from r2mae_bio.dna.alignment._cache import MAF, open_cache
from r2mae_bio.dna.alignment._index import COLUMNS, read_index
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases
from r2mae_bio.dna.genome._contigs import ContigNames
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.genome._mapped import MapsOneFile
from r2mae_bio.dna.genome._sources import list_sources

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._index import AlignmentIndex
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.genome._sources import SourcePaths

__all__ = ["Alignment", "check_pseudo"]

_UNALIGNED: Final = ord(".")
N_BASES: Final = 4
_AT_ONCE: Final = 1 << 16


class Alignment(MapsOneFile):
    r"""A multiple alignment in MAF, projected on a reference and converted once to a file of one
    byte per species and position that is mapped into memory.

    A species is what stands before the first dot of a row's name, ``panTro2`` for ``panTro2.chr1``;
    what follows is its contig. Positions count from 0 on the plus strand of the reference, and ends
    are excluded. Bases that the reference lacks (columns where it has a gap) are left out. Of
    several rows of a species in a block the first is kept, of the reference too. The object is
    small, may be copied to other processes, and is safe to use in forked and in spawned workers.

    Parameters
    ----------
    maf_paths
        MAF, plain or compressed by gzip or bgzip: one path, or several that make up one alignment.
        Each block has a row of the reference.
    reference
        The species that the others are aligned to, ``"hg38"`` for rows named ``hg38.chr1``; it may
        hold dots.
    genome
        Genome of the reference, or the path of its FASTA file. Contigs are then those of the
        genome, known by all names that it knows, and letters and lengths are compared; N and other
        IUPAC codes, in either, agree with everything. Without it contigs are those of the MAF.
    cache_dir
        Folder for the converted files; by default a folder of this package among the user's caches.
        They need one byte per species and base of the reference, on disks with sparse files only
        where something is aligned.
    overlaps
        What to do where several blocks lie over a position: keep the ``"first"`` or the ``"last"``
        in the order of the files, or raise an ``"error"``. Either is kept as a whole, with all its
        species.

    Raises
    ------
    MafError
        A file is missing, cut, damaged or no MAF; a block has no row of the reference, its numbers
        do not fit, it does not agree with the genome, or it overlaps another and must not. The
        message names file, block and line.
    CacheError
        The cache folder cannot be written.
    ConfigError
        No path, or ``reference`` or ``overlaps`` cannot be used.
    FastaError
        The genome cannot be read.

    Examples
    --------
    >>> import tempfile, r2mae_bio as rb
    >>> from pathlib import Path
    >>> temporary = tempfile.TemporaryDirectory()
    >>> folder = Path(temporary.name)
    >>> rows = ["s hg38.chr1    2 6 + 12 ACG-TTA", "s panTro6.chr1 0 5 + 40 AC-CT-A"]
    >>> _ = (folder / "toy.maf").write_text("\n".join(["##maf version=1", "a", *rows]))
    >>> alignment = rb.io.Alignment(folder / "toy.maf", reference="hg38", cache_dir=folder)
    >>> alignment.species
    ('panTro6',)
    >>> alignment.columns("chr1", 0, 9)[0].tobytes()
    b'..AC-T-A.'
    >>> alignment.frequencies("chr1", 2, 4, pseudo=0.5).round(2)
    array([[0.5 , 0.17, 0.17, 0.17],
           [0.17, 0.5 , 0.17, 0.17]], dtype=float32)
    >>> temporary.cleanup()
    """

    def __init__(
        self,
        maf_paths: SourcePaths,
        *,
        reference: str,
        genome: Genome | str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        overlaps: str = "first",
    ) -> None:
        self.sources: tuple[Path, ...] = tuple(source.path for source in list_sources(maf_paths, MAF))
        """The files, in the order given."""
        self.reference: str = reference
        """The species that the others are aligned to."""
        self.genome: Genome | None = None if genome is None else as_genome(genome)
        """Genome of the reference, if it was given."""
        folder, index = open_cache(self.sources, cache_dir, reference=reference, genome=self.genome, overlaps=overlaps)
        self._settle(folder, index)

    def _settle(self, folder: Path, index: AlignmentIndex) -> None:
        self.cache: Path = folder
        """Folder of the converted files."""
        self.species: tuple[str, ...] = index.species
        """Names of the species without the reference, in the order in which the files name them."""
        self.contigs: tuple[str, ...] = tuple(contig.name for contig in index.contigs)
        """Names of the contigs of the reference."""
        self.lengths: NDArray[np.int64] = np.array([contig.length for contig in index.contigs], np.int64)
        """Bases of each contig, shape (contigs,)."""
        self._offsets = np.cumsum(self.lengths) - self.lengths
        self._names = ContigNames(index.contigs, {})
        self._index = index

    def __getstate__(self) -> dict[str, Any]:
        """Paths and the genome, which has its own; no columns, no open file."""
        return {
            "cache": str(self.cache),
            "sources": [str(path) for path in self.sources],
            "reference": self.reference,
            "genome": self.genome,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.sources = tuple(map(Path, state["sources"]))
        self.reference, self.genome = state["reference"], state["genome"]
        folder = Path(state["cache"])
        self._settle(folder, read_index(folder))

    def __repr__(self) -> str:
        return (
            f"Alignment({self.reference} with {len(self.species):,} species: {self._index.n_covered:,} of "
            f"{self._index.n_positions:,} bases in {self._index.n_blocks:,} blocks)"
        )

    @property
    def _columns(self) -> NDArray[np.uint8]:
        """All columns, mapped into memory by the process that asks; (positions, 1 + species)."""
        shape = self._index.n_positions, 1 + len(self.species)
        return self._mapped(self.cache / COLUMNS, shape, "the alignment again from its MAF files")

    @property
    def coverage(self) -> pd.DataFrame:
        """How much of the reference is aligned, a row for each species.

        Counts of positions, int64: ``aligned`` (a letter), ``gaps`` (within a block that the
        species is in), ``identical`` (the letter of the reference); shares, float64:
        ``of_reference`` and ``of_blocks`` (aligned positions among all of the contigs and among
        those in blocks), ``identity`` (identical among aligned ones); and ``repeated_rows``, rows
        left out since a block had one of the species before. ``.attrs`` holds ``positions``,
        ``in_blocks``, ``blocks`` and ``overlapping``, positions that blocks brought again.
        """
        index = self._index
        counts = {name: np.array(getattr(index, name), np.int64) for name in ("aligned", "gaps", "identical", "repeated_rows")}
        table = pd.DataFrame(counts, index=pd.Index(self.species, name="species"))
        table.insert(3, "of_reference", table["aligned"] / index.n_positions)
        table.insert(4, "of_blocks", table["aligned"] / index.n_covered)
        table.insert(5, "identity", table["identical"] / table["aligned"])
        table.attrs |= {
            "positions": index.n_positions,
            "in_blocks": index.n_covered,
            "blocks": index.n_blocks,
            "overlapping": index.n_overlapping,
        }
        return table

    def contig_index(self, contig: str) -> int:
        """Position of a contig in ``contigs``.

        Parameters
        ----------
        contig
            Its name or an equivalent one: what the genome knows, or else what
            :class:`r2mae_bio.io.Genome` would without aliases.

        Returns
        -------
        Position from 0.

        Raises
        ------
        UnknownContigError
            There is no such contig; the message names close ones.
        AmbiguousContigError
            The name fits several.
        """
        return self._names.find(contig) if self.genome is None else self.genome.contig_index(contig)

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """What is aligned to a region.

        Parameters
        ----------
        contig
            Name of the contig or an equivalent one.
        start, end
            First base, from 0, and the base after the last.

        Returns
        -------
        Upper-case ASCII letters, ``-`` where a species has a gap within a block and ``.`` where
        nothing of it is aligned; uint8 (species, ``end - start``), memory of its own.

        Raises
        ------
        RegionError
            The region is empty or not on the contig.
        UnknownContigError, AmbiguousContigError
            As for :meth:`contig_index`.
        """
        columns = np.array(self._region(contig, start, end).T, order="C")  # a copy, of one base too
        columns[columns == 0] = _UNALIGNED
        return columns

    def frequencies(self, contig: str, start: int, end: int, *, pseudo: float = 0.5) -> NDArray[np.float32]:
        """Share of A, C, G and T among the species at each position of a region.

        The reference is not counted, so that the shares tell of its base without having seen it.
        Gaps and letters other than A, C, G and T are not counted either.

        Parameters
        ----------
        contig, start, end
            As for :meth:`columns`.
        pseudo
            Added to each of the four counts, more than 0; where nothing is aligned, all shares are
            a quarter. One half is the prior of Jeffreys.

        Returns
        -------
        Rows that sum to 1, float32 (``end - start``, 4).

        Raises
        ------
        ConfigError
            ``pseudo`` cannot be used.
        RegionError, UnknownContigError, AmbiguousContigError
            As for :meth:`columns`.
        """
        return _shares(self._region(contig, start, end), check_pseudo(pseudo))

    def frequencies_at(self, contig: str, positions: NDArray[np.int64], *, pseudo: float = 0.5) -> NDArray[np.float32]:
        """As :meth:`frequencies`, at single positions.

        Parameters
        ----------
        contig
            As for :meth:`columns`.
        positions
            From 0, integers (n,) in any order; where they are not on the contig, all shares are a
            quarter.
        pseudo
            As for :meth:`frequencies`.

        Returns
        -------
        Rows that sum to 1, float32 (n, 4).

        Raises
        ------
        ConfigError
            ``pseudo`` cannot be used.
        UnknownContigError, AmbiguousContigError
            As for :meth:`columns`.
        """
        i, positions = self.contig_index(contig), np.asarray(positions)
        shares = np.full((positions.size, N_BASES), 1 / N_BASES, np.float32)
        inside = (positions >= 0) & (positions < self.lengths[i])
        shares[inside] = _shares(self._columns[self._offsets[i] + positions[inside], 1:], check_pseudo(pseudo))
        return shares

    def _region(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """Columns of a region, (positions, species), mapped."""
        i = self.contig_index(contig)
        first, last = operator.index(start), operator.index(end)
        if not 0 <= first < last <= self.lengths[i]:
            message = (
                f"{first} to {last} does not lie on the contig {self.contigs[i]!r} of {self.lengths[i]} bases; needed is "
                "0 <= start < end <= length."
            )
            raise RegionError(message)
        return self._columns[self._offsets[i] + first : self._offsets[i] + last, 1:]


def check_pseudo(pseudo: float) -> float:
    """A pseudocount, or a :class:`ConfigError`."""
    if not (math.isfinite(pseudo) and pseudo > 0):
        message = f"pseudo={pseudo!r}; needed is a finite number above 0, which every base is counted at the least."
        raise ConfigError(message)
    return pseudo


def _shares(columns: NDArray[np.uint8], pseudo: float) -> NDArray[np.float32]:
    """Shares of the four bases, (n, 4), in columns (n, species); some columns at a time."""
    shares = np.empty((len(columns), N_BASES), np.float32)
    for first in range(0, len(columns), _AT_ONCE):
        codes = encode_bases(columns[first : first + _AT_ONCE]).astype(np.int64)
        n, n_codes = len(codes), UNKNOWN + 1
        codes += n_codes * np.arange(n)[:, None]  # so that one count tells the columns apart
        counts = np.bincount(codes.reshape(-1), minlength=n * n_codes).reshape(n, n_codes)[:, :N_BASES] + pseudo
        shares[first : first + n] = counts / counts.sum(axis=1, keepdims=True)
    return shares
