"""What an allele changes: its kind, its shortest form."""

from __future__ import annotations

from enum import StrEnum
from os.path import commonprefix
from typing import NamedTuple

from r2mae_bio._errors import VcfError

__all__ = ["AlleleKind", "MinimalChange", "TrimmedAllele", "allele_kind", "minimal_change", "trim_allele"]


class AlleleKind(StrEnum):
    """Kinds of alleles, told after what REF and ALT share at both ends is removed."""

    SNV = "snv"
    """One base for another."""
    MNV = "mnv"
    """Several bases for as many others."""
    INSERTION = "insertion"
    """Bases are added, none is removed."""
    DELETION = "deletion"
    """Bases are removed, none is added."""
    COMPLEX = "complex"
    """Bases for others of a different number."""
    IDENTICAL = "identical"
    """REF and ALT are the same."""
    SYMBOLIC = "symbolic"
    """ALT is not written as a sequence: ``<DEL>``, a breakend, ``*`` or ``.``."""


class TrimmedAllele(NamedTuple):
    """The shortest VCF form of an allele."""

    pos: int
    """1-based position of the first base of ``ref``."""
    ref: str
    """REF, at least one base."""
    alt: str
    """ALT, at least one base."""


class MinimalChange(NamedTuple):
    """The bases an allele takes away and those it puts there."""

    start: int
    """0-based position of the first base removed, or of the base before which ``inserted``
    stands.
    """
    removed: str
    """Bases of the reference that go; empty for an insertion."""
    inserted: str
    """Bases that come; empty for a deletion."""


def is_sequence(text: str) -> bool:
    """Whether an allele is written as letters, of any alphabet and case.

    Parameters
    ----------
    text
        REF or one ALT.

    Returns
    -------
    False for ``<DEL>``, breakends, ``*``, ``.``, ``-`` and the empty string.
    """
    return text.isascii() and text.isalpha()


def trim_allele(pos: int, ref: str, alt: str) -> TrimmedAllele:
    """Remove what REF and ALT share, first at the end and then at the beginning, one base staying
    on each side.

    This is the parsimonious form of VCF. It is not moved to the left along a repeat, which would
    take the genome.

    Parameters
    ----------
    pos
        1-based position of the first base of REF.
    ref, alt
        Alleles, compared whatever their case.

    Returns
    -------
    The trimmed allele, letters in the case they had.

    Raises
    ------
    VcfError
        An allele is not a sequence.

    Examples
    --------
    >>> from r2mae_bio.io import trim_allele
    >>> trim_allele(10, "CAGT", "CT")
    TrimmedAllele(pos=10, ref='CAG', alt='C')
    """
    if not (is_sequence(ref) and is_sequence(alt)):
        message = f"REF {ref!r} and ALT {alt!r} cannot be trimmed; both must be sequences. Leave out alleles of kind symbolic."
        raise VcfError(message)
    n_suffix = min(_shared(ref[::-1], alt[::-1]), len(ref) - 1, len(alt) - 1)
    ref, alt = ref[: len(ref) - n_suffix], alt[: len(alt) - n_suffix]
    n_prefix = min(_shared(ref, alt), len(ref) - 1, len(alt) - 1)
    return TrimmedAllele(pos + n_prefix, ref[n_prefix:], alt[n_prefix:])


def minimal_change(pos: int, ref: str, alt: str) -> MinimalChange:
    """The trimmed allele without the base that VCF keeps before an insertion or deletion.

    Parameters
    ----------
    pos
        1-based position of the first base of REF.
    ref, alt
        Alleles, compared whatever their case.

    Returns
    -------
    The change; both strings are empty where REF and ALT are the same.

    Raises
    ------
    VcfError
        An allele is not a sequence.

    Examples
    --------
    >>> from r2mae_bio.io import minimal_change
    >>> minimal_change(10, "CAGT", "CT")
    MinimalChange(start=10, removed='AG', inserted='')
    """
    pos, ref, alt = trim_allele(pos, ref, alt)
    n_prefix = _shared(ref, alt)
    ref, alt = ref[n_prefix:], alt[n_prefix:]
    n_suffix = _shared(ref[::-1], alt[::-1])
    return MinimalChange(pos - 1 + n_prefix, ref[: len(ref) - n_suffix], alt[: len(alt) - n_suffix])


def allele_kind(ref: str, alt: str) -> AlleleKind:
    """The kind of an allele.

    Parameters
    ----------
    ref, alt
        Alleles, compared whatever their case and trimmed before.

    Returns
    -------
    The kind.

    Examples
    --------
    >>> from r2mae_bio.io import allele_kind
    >>> [str(allele_kind("CAG", alt)) for alt in ("CTG", "C", "<DEL>")]
    ['snv', 'deletion', 'symbolic']
    """
    return kind_of(minimal_change(1, ref, alt) if is_sequence(ref) and is_sequence(alt) else None)


def kind_of(change: MinimalChange | None) -> AlleleKind:
    """The kind of an allele whose change is known.

    Parameters
    ----------
    change
        Its shortest form; None for an allele that is not a sequence.

    Returns
    -------
    The kind.
    """
    if change is None:
        return AlleleKind.SYMBOLIC
    _, removed, inserted = change
    if not removed:
        return AlleleKind.INSERTION if inserted else AlleleKind.IDENTICAL
    if not inserted:
        return AlleleKind.DELETION
    if len(removed) != len(inserted):
        return AlleleKind.COMPLEX
    return AlleleKind.SNV if len(removed) == 1 else AlleleKind.MNV


def _shared(a: str, b: str) -> int:
    return len(commonprefix([a.upper(), b.upper()]))
