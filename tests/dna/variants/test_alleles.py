"""Alleles: shortest form and kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import VcfError
from r2mae_bio.io import (
    allele_kind,
    minimal_change,
    trim_allele,
)

BASES = st.text("ACGTacgt", min_size=1, max_size=7)


# few letters, so that alleles share much
FEW = st.text("AaC", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "trimmed", "change", "kind"),
    [
        (10, "A", "C", (10, "A", "C"), (9, "A", "C"), "snv"),
        (10, "a", "C", (10, "a", "C"), (9, "a", "C"), "snv"),
        (10, "A", "a", (10, "A", "a"), (10, "", ""), "identical"),
        (10, "TAG", "TCG", (11, "A", "C"), (10, "A", "C"), "snv"),
        (10, "TACG", "TGTG", (11, "AC", "GT"), (10, "AC", "GT"), "mnv"),
        (10, "A", "AT", (10, "A", "AT"), (10, "", "T"), "insertion"),
        (10, "CAT", "CAAT", (10, "C", "CA"), (10, "", "A"), "insertion"),
        (10, "CTT", "C", (10, "CTT", "C"), (10, "TT", ""), "deletion"),
        (10, "GCACA", "GCA", (10, "GCA", "G"), (10, "CA", ""), "deletion"),
        (10, "CAGT", "CT", (10, "CAG", "C"), (10, "AG", ""), "deletion"),
        (1, "CA", "A", (1, "CA", "A"), (0, "C", ""), "deletion"),
        (10, "ATG", "CC", (10, "ATG", "CC"), (9, "ATG", "CC"), "complex"),
        (10, "GATG", "GCG", (11, "AT", "C"), (10, "AT", "C"), "complex"),
    ],
)
def test_hand_made_alleles(pos: int, ref: str, alt: str, trimmed: tuple, change: tuple, kind: str) -> None:
    assert trim_allele(pos, ref, alt) == trimmed
    assert minimal_change(pos, ref, alt) == change
    assert allele_kind(ref, alt) == kind


def _apply(genome: str, start: int, removed: str, inserted: str) -> str:
    assert genome[start : start + len(removed)].upper() == removed.upper()
    return (genome[:start] + inserted + genome[start + len(removed) :]).upper()


@given(BASES, FEW, FEW, BASES)
def test_trimming_keeps_the_haplotype(left: str, ref: str, alt: str, right: str) -> None:
    genome = left + ref + right
    haplotype = (left + alt + right).upper()
    pos, short_ref, short_alt = trim_allele(len(left) + 1, ref, alt)
    assert short_ref
    assert short_alt
    assert _apply(genome, pos - 1, short_ref, short_alt) == haplotype
    assert _apply(genome, *minimal_change(len(left) + 1, ref, alt)) == haplotype


@given(FEW, FEW)
def test_trimmed_alleles_share_nothing_they_could_lose(ref: str, alt: str) -> None:
    _, ref, alt = (x.upper() if isinstance(x, str) else x for x in trim_allele(1, ref, alt))
    if min(len(ref), len(alt)) > 1:
        assert ref[0] != alt[0]
        assert ref[-1] != alt[-1]
    assert trim_allele(5, ref, alt) == (5, ref, alt)


def _edit_sizes(ref: str, alt: str) -> tuple[int, int]:
    """Fewest bases one contiguous replacement takes away and brings, by trying all."""
    ref, alt = ref.upper(), alt.upper()
    spans = ((i, j, k) for i in range(len(ref) + 1) for j in range(i, len(ref) + 1) for k in range(len(alt) + 1))
    fits = ((j - i, k) for i, j, k in spans if ref[:i] + alt[i : i + k] + ref[j:] == alt)
    return min(fits, key=sum)


@given(FEW, FEW)
def test_the_change_is_the_smallest_there_is(ref: str, alt: str) -> None:
    _, removed, inserted = minimal_change(1, ref, alt)
    assert (len(removed), len(inserted)) == _edit_sizes(ref, alt)


@given(FEW, FEW, FEW)
def test_kind_ignores_shared_ends(ref: str, alt: str, shared: str) -> None:
    assert allele_kind(shared + ref, shared + alt) == allele_kind(ref, alt) == allele_kind(ref + shared, alt + shared)


@given(FEW, FEW)
def test_kind_of_the_reverse_change(ref: str, alt: str) -> None:
    opposite = {"insertion": "deletion", "deletion": "insertion"}
    there = str(allele_kind(ref, alt))
    assert allele_kind(alt, ref) == opposite.get(there, there)


SYMBOLIC = ["<DEL>", "<INS:ME>", "*", ".", "-", "", "C[2:5[", "]1:5]C", "G.", "A1", "é"]


@pytest.mark.parametrize("alt", SYMBOLIC)
def test_symbolic_alleles_have_a_kind_and_no_form(alt: str) -> None:
    assert allele_kind("A", alt) == "symbolic"
    for function in (trim_allele, minimal_change):
        with pytest.raises(VcfError, match="cannot be trimmed"):
            function(1, "A", alt)
