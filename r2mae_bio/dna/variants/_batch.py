"""Some records of a variant file, with their alleles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.dna.variants._alleles import MinimalChange, is_sequence, minimal_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.variants._vcf_header import VcfHeader

__all__ = ["VariantBatch", "VariantReader"]


@dataclass(frozen=True, eq=False)
class VariantBatch:
    """Consecutive records of the input, none left out, and the alleles they expand to."""

    start: int
    """Place of the first record in the whole input, from 0."""
    lines: list[bytes]
    """The records as they were read, without line ends, (records,)."""
    chrom: list[str]
    """Contig, (records,)."""
    pos: NDArray[np.int64]
    """Position of the first base of REF, 1-based as in VCF, (records,)."""
    id: list[str]
    """ID column, ``.`` where there is none, (records,)."""
    ref: list[str]
    """REF column, in the case it was written in, (records,)."""
    alt: list[str]
    """ALT alleles, those of a record beside each other in the order of its list, (alleles,)."""
    record: NDArray[np.int64]
    """Record of each allele, counted from 0 in this batch, (alleles,)."""
    alt_index: NDArray[np.int64]
    """Place of each allele in the ALT list of its record, from 0, (alleles,)."""

    @property
    def n_records(self) -> int:
        """Number of records."""
        return len(self.lines)

    @property
    def n_alleles(self) -> int:
        """Number of alleles; at least one per record, because ``.`` counts as one."""
        return len(self.alt)

    @cached_property
    def allele_chrom(self) -> list[str]:
        """Contig of each allele, (alleles,)."""
        return self._per_allele(self.chrom)

    @cached_property
    def allele_pos(self) -> NDArray[np.int64]:
        """1-based position of each allele, (alleles,)."""
        return self.pos[self.record]

    @cached_property
    def allele_ref(self) -> list[str]:
        """REF of each allele, (alleles,)."""
        return self._per_allele(self.ref)

    @cached_property
    def is_snv(self) -> NDArray[np.bool_]:
        """Whether REF and ALT are one ASCII letter each, in any case, be it a base or not,
        (alleles,).
        """
        pairs = zip(self.allele_ref, self.alt, strict=True)
        return np.fromiter((len(r) == len(a) == 1 and is_sequence(r + a) for r, a in pairs), np.bool_, self.n_alleles)

    @cached_property
    def changes(self) -> list[MinimalChange | None]:
        """Shortest form of each allele, None where it is not a sequence, (alleles,)."""
        alleles = zip(self.allele_pos.tolist(), self.allele_ref, self.alt, self.is_snv.tolist(), strict=True)
        return [_change(*allele) for allele in alleles]

    def _per_allele(self, column: list[str]) -> list[str]:
        return column if self.n_alleles == self.n_records else [column[r] for r in self.record.tolist()]


def _change(pos: int, ref: str, alt: str, single: bool) -> MinimalChange | None:  # noqa: FBT001
    if single and ref.upper() != alt.upper():  # most alleles by far: nothing to trim
        return MinimalChange(pos - 1, ref, alt)
    return minimal_change(pos, ref, alt) if is_sequence(ref) and is_sequence(alt) else None


class VariantReader(ABC):
    """Variants in batches, in the order of the input; made by :func:`read_variants`. Iterating it
    gives all batches.
    """

    header: VcfHeader
    """Header of the input; for a table, the shortest one that is valid."""

    def __iter__(self) -> Iterator[VariantBatch]:
        return self.batches()

    @abstractmethod
    def batches(self, skip: int = 0) -> Iterator[VariantBatch]:
        """Read from the beginning, in bounded memory.

        Parameters
        ----------
        skip
            Records to pass over, such as those an interrupted run has written. If earlier batches
            ended there, the batches that follow are the same as without skipping.

        Returns
        -------
        Batches of at most ``batch_size`` records; fewer where the lines are very long.

        Raises
        ------
        VcfError
            A record cannot be read.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of the input, 64 hexadecimal digits.

        Returns
        -------
        For a file the digest of its bytes, for a table that of contigs, positions, identifiers and
        alleles.
        """


def expand(alts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Split ALT columns at their commas.

    Parameters
    ----------
    alts
        ALT columns, (records,).

    Returns
    -------
    Alleles, the record of each and its place in the list, all (alleles,).
    """
    if not any("," in alt for alt in alts):
        return list(alts), np.arange(len(alts)), np.zeros(len(alts), np.int64)
    lists = [alt.split(",") for alt in alts]
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    record = np.repeat(np.arange(len(lists)), counts)
    first = np.cumsum(counts) - counts
    return [allele for alleles in lists for allele in alleles], record, np.arange(record.size) - first[record]
