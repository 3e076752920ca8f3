"""A genome on disk, read at random: single regions as text, many windows at once as bytes."""

from __future__ import annotations

import hashlib
import json
import operator
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import CacheError, ConfigError, RegionError
from r2mae_bio.dna.genome._bases import reverse_complement
from r2mae_bio.dna.genome._cache import open_cache
from r2mae_bio.dna.genome._contigs import ContigNames
from r2mae_bio.dna.genome._index import BASES, read_index
from r2mae_bio.dna.genome._mapped import MapsOneFile
from r2mae_bio.dna.genome._sources import list_sources
from r2mae_bio.dna.genome._synonyms import read_synonyms
from r2mae_bio.dna.genome._windows import ContigLayout, check_rows, check_window

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._contigs import Contig
    from r2mae_bio.dna.genome._index import GenomeIndex
    from r2mae_bio.dna.genome._sources import SourcePaths

__all__ = ["Genome", "as_genome"]

_VERIFIED_AT_ONCE: Final = 1 << 24


class Genome(MapsOneFile):
    """Sequences of one or several FASTA files, converted once to a file of one byte per base that
    is mapped into memory.

    Positions count from 0 and ends are excluded. The bases are kept as they are in the files: lower
    case, N and IUPAC codes too. The object is small, may be copied to other processes, and is safe
    to use in forked and in spawned workers.

    Parameters
    ----------
    paths
        FASTA, plain or compressed by gzip or bgzip: one path, several that make up one genome, or
        ``{species: path or paths}``. With species every contig is called ``species:contig``, so
        species may share names; the bare name works where it is in one species.
    cache_dir
        Folder for the converted files; by default a folder of this package among the user's caches.
        It needs one byte per base.
    aliases
        Further names of contigs, ``{alias: name}``. Known without it: ``1`` and ``chr1``; ``M``,
        ``MT``, ``chrM`` and ``chrMT``; an accession with or without its version. A name that fits
        several contigs is an error.
    synonyms
        File with the names of each sequence in a row: an assembly report of NCBI, a chromAlias of
        UCSC, or any table with tabs. All of them are then names of the contig; ``aliases`` come
        before them.
    circular
        Names of the contigs that are circles, or ``"all"``: windows and regions may run over their
        end into their beginning.

    Raises
    ------
    FastaError
        A file is missing, empty or damaged, is not DNA, or repeats the name of a contig; the
        message names file, line and record.
    CacheError
        The cache folder cannot be written.
    ConfigError
        No path, a species or an alias that cannot be used.
    UnknownContigError, AmbiguousContigError
        ``aliases`` or ``circular`` name no contig, or several.
    DataError
        ``synonyms`` cannot be read, or is of another genome.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> genome.fetch(genome.contigs[0], 0, 12)
    'GGGCGGCGACCT'
    """

    def __init__(
        self,
        paths: SourcePaths | Mapping[str, SourcePaths],
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        aliases: Mapping[str, str] | None = None,
        synonyms: str | os.PathLike[str] | None = None,
        circular: str | Iterable[str] = (),
    ) -> None:
        sources = list_sources(paths)
        folder, index = open_cache(sources, cache_dir)
        self.sources: tuple[Path, ...] = tuple(source.path for source in sources)
        """The files, in the order given; ``Contig.source`` counts them."""
        found = {} if synonyms is None else read_synonyms(synonyms, index.contigs)
        self._settle(folder, index, found | dict(aliases or {}), circular)

    def _settle(self, folder: Path, index: GenomeIndex, aliases: dict[str, str], circular: str | Iterable[str]) -> None:
        self.cache: Path = folder
        """Folder of the converted files."""
        self.index: tuple[Contig, ...] = index.contigs
        """What is known of each contig: names, length, header, letters counted."""
        self.contigs: tuple[str, ...] = tuple(contig.qualified for contig in index.contigs)
        """Names of the contigs, with the species in front if species were given."""
        self.species: tuple[str, ...] = tuple(contig.species for contig in index.contigs)
        """Species of each contig, empty if files were given without."""
        self.lengths: NDArray[np.int64] = np.array([contig.length for contig in index.contigs], np.int64)
        """Bases of each contig, shape (contigs,)."""
        self.offsets: NDArray[np.int64] = np.array([contig.offset for contig in index.contigs], np.int64)
        """Global position of the first base of each contig, shape (contigs,)."""
        self._crc32 = index.crc32
        self._aliases = aliases
        self._names = ContigNames(index.contigs, aliases)
        self.is_circular: NDArray[np.bool_] = np.zeros(len(self.contigs), bool)
        """Whether each contig is a circle, shape (contigs,)."""
        circles = self.contigs if circular == "all" else [circular] if isinstance(circular, str) else circular
        self.is_circular[[self._names.find(name) for name in circles]] = True
        self._layout = ContigLayout(self.contigs, self.offsets, self.lengths, self.is_circular)

    def __getstate__(self) -> dict[str, Any]:
        """Paths and options; no bases, no open file."""
        return {
            "cache": str(self.cache),
            "sources": [str(path) for path in self.sources],
            "aliases": self._aliases,
            "circular": [self.contigs[i] for i in np.flatnonzero(self.is_circular)],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.sources = tuple(map(Path, state["sources"]))
        folder = Path(state["cache"])
        self._settle(folder, read_index(folder), state["aliases"], state["circular"])

    def __len__(self) -> int:
        """Bases of all contigs."""
        return int(self.lengths.sum())

    def __contains__(self, contig: object) -> bool:
        return isinstance(contig, str) and len(self._names.matches(contig)) == 1

    def __repr__(self) -> str:
        files = f"{len(self.sources)} files" if len(self.sources) > 1 else self.sources[0].name
        return f"Genome({files}: {len(self):,} bases, {len(self.contigs):,} contigs)"

    @property
    def _bases(self) -> NDArray[np.uint8]:
        """All bases, mapped into memory by the process that asks; shape (len(self),)."""
        return self._mapped(self.cache / BASES, (len(self),), "the genome again from its FASTA files")

    def fingerprint(self) -> str:
        """sha256 of names, lengths, circles and the checksum of the bases, letter case included;
        not of paths or compression.

        Returns
        -------
        64 hexadecimal digits.
        """
        described = [list(self.contigs), self.lengths.tolist(), np.flatnonzero(self.is_circular).tolist(), self._crc32]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()

    def contig_index(self, contig: str) -> int:
        """Position of a contig in ``contigs``.

        Parameters
        ----------
        contig
            Its name or an equivalent one.

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
        return self._names.find(contig)

    def fetch(self, contig: str, start: int = 0, end: int | None = None, *, strand: str = "+") -> str:
        """One region as text, letters as in the file.

        Parameters
        ----------
        contig
            Name of the contig or an equivalent one.
        start, end
            First base, from 0, and the base after the last; the end of the contig if ``end`` is
            None. On a circular contig ``end`` may be greater than its length, the region not longer
            than it.
        strand
            ``"+"``, or ``"-"`` for the reverse complement.

        Returns
        -------
        ``end - start`` letters.

        Raises
        ------
        RegionError
            The region is empty or not on the contig.
        UnknownContigError, AmbiguousContigError
            As for :meth:`contig_index`.
        ConfigError
            The strand is neither ``"+"`` nor ``"-"``.
        """
        i = self._names.find(contig)
        size, offset = int(self.lengths[i]), int(self.offsets[i])
        first, last = operator.index(start), size if end is None else operator.index(end)
        circular = bool(self.is_circular[i])
        if not (0 <= first < last and (last <= size or (circular and first < size and last - first <= size))):
            raise RegionError(self._layout.describe_leaving(i, first, last))
        text = self._bases[offset + first : offset + min(last, size)].tobytes()
        if last > size:
            text += self._bases[offset : offset + last - size].tobytes()
        if strand not in ("+", "-"):
            message = f"strand={strand!r} is not known; needed is '+' or '-'."
            raise ConfigError(message)
        return (text if strand == "+" else reverse_complement(text)).decode("ascii")

    def windows(
        self,
        starts: Any,
        length: int,
        *,
        contigs: Any = None,
        reverse: NDArray[np.bool_] | None = None,
        outside: str = "error",
    ) -> NDArray[np.uint8]:
        """Many windows of one length, gathered at once.

        Parameters
        ----------
        starts
            First base of each window, integers (B,): global positions (see ``offsets``), or
            positions on ``contigs`` if that is given.
        length
            Bases of a window, L.
        contigs
            Position in ``contigs`` of each window's contig, integers (B,), or one for all.
        reverse
            Rows of which the reverse complement is wanted, bool (B,).
        outside
            What to do with windows that leave their contig: ``"error"``, or ``"N"`` to fill up with
            N. On a circular contig no window leaves it that is not longer: it goes round, on either
            side.

        Returns
        -------
        ASCII bytes as in the file, uint8 (B, L); memory of its own.

        Raises
        ------
        RegionError
            A window leaves its contig and ``outside="error"``, or starts at no base of the genome.
        DataError
            The arrays do not have the shapes and types above.
        ConfigError
            ``outside`` is not known.
        """
        check_window(length, outside)
        contig, start = self._layout.locate(starts, contigs)
        rows = self._layout.read(self._bases, contig, start, int(length), fill=outside == "N")
        if reverse is not None:
            chosen = check_rows(reverse, len(rows))
            rows[chosen] = reverse_complement(rows[chosen])
        return rows

    def verify(self) -> None:
        """Read all bases and compare them with the checksum made when the FASTA files were
        converted.

        Opening a genome checks sizes and the index only; a flipped bit on the disk is found here.

        Raises
        ------
        CacheError
            The bases are not those that were written.
        """
        checksum = 0
        for at in range(0, len(self), _VERIFIED_AT_ONCE):
            checksum = zlib.crc32(self._bases[at : at + _VERIFIED_AT_ONCE].data, checksum)
        if checksum != self._crc32:
            message = (
                f"{self.cache / BASES} has checksum {checksum:08x}, needed is {self._crc32:08x}: it was damaged after it was written. "
                f"Delete {self.cache} and open the genome again."
            )
            raise CacheError(message)


def as_genome(genome: Genome | str | os.PathLike[str], aliases: Mapping[str, str] | None = None) -> Genome:
    """A genome, opened from its FASTA file if need be.

    Parameters
    ----------
    genome
        A genome, or the path of its file.
    aliases
        Further names of contigs, for a genome that is yet to be opened.

    Returns
    -------
    The genome.

    Raises
    ------
    ConfigError
        There are aliases for a genome that is open.
    FastaError, CacheError
        The file cannot be read, or its cache not be written.
    """
    if not isinstance(genome, Genome):
        return Genome(genome, aliases=aliases)
    if aliases is not None:
        message = "aliases were passed together with an open genome, which has its own; pass them to io.Genome(..., aliases=...)."
        raise ConfigError(message)
    return genome
