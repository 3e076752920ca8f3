"""Whether an allele can be scored, told from the genome alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.dna.variants._alleles import is_sequence, minimal_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna.variants._alleles import MinimalChange
    from r2mae_bio.dna.variants._batch import VariantBatch

__all__ = ["AlleleStatus", "check_allele", "classify_alleles"]


class AlleleStatus(StrEnum):
    """Why an allele can or cannot be scored; where several reasons hold, the first one in this
    order is given.
    """

    OK = "ok"
    """REF is what the genome holds, and what changes is A, C, G and T."""
    SYMBOLIC = "symbolic"
    """REF or ALT is not a sequence: ``<DEL>``, a breakend, ``*``, ``.`` or ``-``."""
    OFF_CONTIG = "off_contig"
    """The contig is unknown, or REF does not lie within it."""
    TOO_LONG = "too_long"
    """More bases are removed or inserted than the limit, whatever stands beside them in the
    record.
    """
    AMBIGUOUS_BASE = "ambiguous_base"
    """What changes, or where REF differs from the genome, holds a letter other than A, C, G and
    T.
    """
    REF_MISMATCH = "ref_mismatch"
    """The genome holds other bases than REF."""


class ReferenceFetch(Protocol):
    """Bases of the genome, 0-based and half-open, in any case; asked only for what lies within a
    known contig.
    """

    def __call__(self, contig: str, start: int, end: int, /) -> str: ...


_ORDER: Final = tuple(AlleleStatus)
_CODE: Final = {status: code for code, status in enumerate(_ORDER)}
_NAMES: Final = np.array([str(status) for status in _ORDER])
_NOT_A_LETTER, _OTHER_LETTER = 0, 1


def _base_table() -> NDArray[np.uint8]:
    table = np.full(256, _NOT_A_LETTER, np.uint8)
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[[ord(letter), ord(letter.lower())]] = ord(letter) if letter in "ACGT" else _OTHER_LETTER
    return table


_BASE: Final = _base_table()
"""Upper-case code of A, C, G and T; 1 for other letters, 0 for the rest."""


def check_allele(
    chrom: str,
    pos: int,
    ref: str,
    alt: str,
    *,
    reference_fetch: ReferenceFetch,
    contig_lengths: Mapping[str, int],
    max_length: int | None = None,
) -> AlleleStatus:
    """Check one allele against the genome.

    Parameters
    ----------
    chrom
        Contig, spelled as in ``contig_lengths``.
    pos
        1-based position of the first base of REF.
    ref, alt
        Alleles, in any case.
    reference_fetch
        ``(contig, start, end) -> str``, 0-based and half-open.
    contig_lengths
        Length of each contig, in bases.
    max_length
        Most bases that may be removed or inserted (:func:`minimal_change`); any number if None.

    Returns
    -------
    The first reason against it, or ``ok``.

    Raises
    ------
    DataError
        ``reference_fetch`` gives another number of bases than asked for.
    """
    change = minimal_change(pos, ref, alt) if is_sequence(ref) and is_sequence(alt) else None
    return _check(chrom, pos, ref, change, reference_fetch, contig_lengths, max_length)


def _check(
    chrom: str,
    pos: int,
    ref: str,
    change: MinimalChange | None,
    reference_fetch: ReferenceFetch,
    contig_lengths: Mapping[str, int],
    max_length: int | None,
) -> AlleleStatus:
    """Check an allele whose shortest form is known."""
    if change is None:
        return AlleleStatus.SYMBOLIC
    start, end = pos - 1, pos - 1 + len(ref)
    if start < 0 or end > contig_lengths.get(chrom, -1):
        return AlleleStatus.OFF_CONTIG
    _, removed, inserted = change
    if max_length is not None and max(len(removed), len(inserted)) > max_length:
        return AlleleStatus.TOO_LONG
    genome = reference_fetch(chrom, start, end).upper()
    _check_count(len(genome), len(ref), chrom)
    differing = [base for pair in zip(genome, ref.upper(), strict=True) if pair[0] != pair[1] for base in pair]
    # bases that stand beside the change are like those of the window around it, where N may be
    changing = removed + inserted or ref
    if not set(changing.upper()).union(differing) <= set("ACGT"):
        return AlleleStatus.AMBIGUOUS_BASE
    return AlleleStatus.REF_MISMATCH if differing else AlleleStatus.OK


def classify_alleles(
    batch: VariantBatch,
    reference_fetch: ReferenceFetch,
    *,
    contig_lengths: Mapping[str, int],
    max_length: int | None = None,
    reference_bases: Callable[[str, NDArray[np.int64]], NDArray[np.uint8]] | None = None,
) -> NDArray[np.str_]:
    """Check all alleles of a batch against the genome.

    Parameters
    ----------
    batch
        From :func:`read_variants`.
    reference_fetch
        ``(contig, start, end) -> str``, 0-based and half-open; called only within known contigs.
    contig_lengths
        Length of each contig, in bases; names spelled as in the batch.
    max_length
        Most bases that may be removed or inserted (:func:`minimal_change`); any number if None.
    reference_bases
        ``(contig, positions) -> uint8``: ASCII codes, in any case, of the bases at 0-based
        positions, (n,). With it, single-nucleotide variants are checked together; without it, one
        by one.

    Returns
    -------
    One :class:`AlleleStatus` per allele, as strings, (alleles,).

    Raises
    ------
    ConfigError
        ``max_length`` is not positive.
    DataError
        The genome gives another number of bases than asked for.
    """
    if max_length is not None and max_length < 1:
        message = f"max_length is {max_length}; it must be at least 1, or None for no limit."
        raise ConfigError(message)
    codes = np.zeros(batch.n_alleles, np.uint8)
    together = batch.is_snv if reference_bases is not None else np.zeros(batch.n_alleles, np.bool_)
    if reference_bases is not None and together.any():
        codes[together] = _check_snvs(batch, np.flatnonzero(together), reference_bases, contig_lengths)
    for i in np.flatnonzero(~together).tolist():
        allele = batch.allele_chrom[i], int(batch.allele_pos[i]), batch.allele_ref[i], batch.changes[i]
        status = _check(*allele, reference_fetch, contig_lengths, max_length)
        codes[i] = _CODE[status]
    return _NAMES[codes]


def _check_snvs(
    batch: VariantBatch, which: NDArray[np.int64], reference_bases: Any, contig_lengths: Mapping[str, int]
) -> NDArray[np.uint8]:
    ref, alt = (_letters(column, which) for column in (batch.allele_ref, batch.alt))
    genome, inside = _genome_at(batch, which, reference_bases, contig_lengths)
    bases = np.stack([ref, alt, genome])
    codes = np.zeros(which.size, np.uint8)
    codes[ref != genome] = _CODE[AlleleStatus.REF_MISMATCH]
    codes[(bases <= _OTHER_LETTER).any(axis=0)] = _CODE[AlleleStatus.AMBIGUOUS_BASE]
    codes[~inside] = _CODE[AlleleStatus.OFF_CONTIG]
    return codes


def _letters(column: list[str], which: NDArray[np.int64]) -> NDArray[np.uint8]:
    return _BASE[np.frombuffer("".join([column[i] for i in which.tolist()]).encode("ascii"), np.uint8)]


def _genome_at(
    batch: VariantBatch, which: NDArray[np.int64], reference_bases: Any, contig_lengths: Mapping[str, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bases at some alleles, and whether the genome has them."""
    bases = np.zeros(which.size, np.uint8)
    inside = np.zeros(which.size, np.bool_)
    chrom = np.array([batch.allele_chrom[i] for i in which.tolist()], object)
    start = batch.allele_pos[which] - 1
    for contig in dict.fromkeys(chrom.tolist()):
        here = np.flatnonzero((chrom == contig) & (start >= 0) & (start < contig_lengths.get(contig, 0)))
        if here.size:
            found = np.asarray(reference_bases(contig, start[here]), np.uint8)
            _check_count(found.size, here.size, contig)
            bases[here], inside[here] = _BASE[found], True
    return bases, inside


def _check_count(found: int, wanted: int, contig: str) -> None:
    if found != wanted:
        message = (
            f"The genome gave {found} bases of {contig} where {wanted} were asked for within the length that contig_lengths gives; "
            "the two must come from the same genome."
        )
        raise DataError(message)
