"""Alleles: shortest form, kind and status; variants from tables."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import ConfigError, DataError, VcfError
from r2mae_bio.io import (
    AlleleStatus,
    Genome,
    GenomeReference,
    allele_kind,
    check_allele,
    classify_alleles,
    minimal_change,
    read_variants,
    trim_allele,
)

if TYPE_CHECKING:
    from pathlib import Path

BASES = st.text("ACGTacgt", min_size=1, max_size=7)
# few letters, so that alleles share much
FEW = st.text("AaC", min_size=1, max_size=8)


# ---------------------------------------------------------------- form


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


# ---------------------------------------------------------------- status

GENOME = {"one": "ACGTNacgtRAC", "two": "GG"}
LENGTHS = {name: len(bases) for name, bases in GENOME.items()}


def fetch(contig: str, start: int, end: int) -> str:
    assert 0 <= start < end <= LENGTHS[contig]
    return GENOME[contig][start:end]


def bases_at(contig: str, positions: np.ndarray) -> np.ndarray:
    return np.frombuffer(GENOME[contig].encode(), np.uint8)[positions]


@pytest.mark.parametrize(
    ("chrom", "pos", "ref", "alt", "status"),
    [
        ("one", 1, "A", "C", "ok"),
        ("one", 6, "A", "t", "ok"),
        ("one", 1, "acgt", "A", "ok"),
        ("one", 11, "AC", "A", "ok"),
        ("two", 2, "G", "GA", "ok"),
        ("one", 1, "C", "A", "ref_mismatch"),
        ("one", 1, "ACC", "A", "ref_mismatch"),
        ("one", 5, "N", "A", "ambiguous_base"),
        ("one", 5, "A", "C", "ambiguous_base"),
        ("one", 1, "A", "R", "ambiguous_base"),
        ("one", 1, "N", "C", "ambiguous_base"),
        ("one", 10, "R", "A", "ambiguous_base"),
        ("one", 4, "TNA", "T", "ambiguous_base"),
        ("one", 13, "A", "C", "off_contig"),
        ("one", 12, "CA", "C", "off_contig"),
        ("one", 0, "A", "C", "off_contig"),
        ("three", 1, "A", "C", "off_contig"),
        ("three", 1, "A", "N", "off_contig"),
        ("one", 1, "A", "ACGTA", "too_long"),
        ("one", 1, "ACGTN", "A", "too_long"),
        ("three", 1, "A", "<DEL>", "symbolic"),
        *(("one", 1, "A", alt, "symbolic") for alt in SYMBOLIC),
        ("one", 1, ".", "A", "symbolic"),
    ],
)
def test_hand_made_statuses(chrom: str, pos: int, ref: str, alt: str, status: str) -> None:
    assert check_allele(chrom, pos, ref, alt, reference_fetch=fetch, contig_lengths=LENGTHS, max_length=4) == status


ROWS = st.tuples(
    st.sampled_from(["one", "two", "three"]),
    st.integers(0, 14),
    st.one_of(st.text("ACGTacgtN", min_size=1, max_size=3), st.sampled_from(["ACGTN", "."])),
    st.lists(
        st.one_of(st.text("ACGTacgtN", min_size=1, max_size=3), st.sampled_from(["*", "<DEL>", "é"])), min_size=1, max_size=3
    ),
)


def _naive(chrom: str, pos: int, ref: str, alt: str, limit: int) -> str:
    """The definition, read aloud."""
    letters = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if not (ref and alt and set(ref.upper() + alt.upper()) <= letters):
        return "symbolic"
    if chrom not in GENOME or pos < 1 or pos + len(ref) - 1 > len(GENOME[chrom]):
        return "off_contig"
    if len(ref) > limit or len(alt) > limit:
        return "too_long"
    genome = GENOME[chrom][pos - 1 : pos - 1 + len(ref)].upper()
    if set(genome + ref.upper() + alt.upper()) - set("ACGT"):
        return "ambiguous_base"
    return "ok" if genome == ref.upper() else "ref_mismatch"


@given(st.lists(ROWS, max_size=20), st.integers(1, 3), st.booleans())
def test_batches_agree_with_the_definition(rows: list[tuple], limit: int, together: bool) -> None:
    table = pd.DataFrame([(c, p, r, ",".join(a)) for c, p, r, a in rows], columns=["chrom", "pos", "ref", "alt"])
    found: list[str] = []
    for batch in read_variants(table, batch_size=7):
        fast = bases_at if together else None
        statuses = classify_alleles(batch, fetch, contig_lengths=LENGTHS, max_length=limit, reference_bases=fast)
        found += statuses.tolist()
        assert ((statuses == AlleleStatus.OK) == [s == "ok" for s in statuses.tolist()]).all()
    assert found == [_naive(c, p, r, alt, limit) for c, p, r, alts in rows for alt in alts]


def _batch(rows: list[tuple]):
    (batch,) = read_variants(pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]))
    return batch


def test_a_genome_of_other_lengths_is_noticed() -> None:
    batch = _batch([("two", 3, "G", "A")])
    with pytest.raises(DataError, match="gave 0 bases of two where 1 were asked for"):
        classify_alleles(batch, lambda *where: GENOME["two"][slice(*where[1:])], contig_lengths={"two": 5})
    with pytest.raises(DataError, match="gave 2 bases of two where 1 were asked for"):
        classify_alleles(batch, fetch, contig_lengths={"two": 5}, reference_bases=lambda *_: np.zeros(2, np.uint8))


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="max_length is 0"):
        classify_alleles(_batch([("two", 1, "G", "A")]), fetch, contig_lengths=LENGTHS, max_length=0)


def test_a_genome_knows_contigs_by_other_names(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">chr1\nACGTNacgtRAC\n>chrM\nGG\n")
    reference = GenomeReference(Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache"))
    assert dict(reference.contig_lengths) == {"chr1": 12, "chrM": 2}
    batch = _batch([("1", 6, "A", "C"), ("chr1", 5, "A", "C"), ("MT", 1, "GG", "G"), ("2", 1, "A", "C"), ("1", 12, "A", "C")])
    for fast in (reference.bases, None):
        found = classify_alleles(batch, reference.fetch, contig_lengths=reference.contig_lengths, reference_bases=fast)
        assert found.tolist() == ["ok", "ambiguous_base", "ok", "off_contig", "ref_mismatch"]


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "names", [["chrom", "pos", "ref", "alt"], ["#CHROM", "POS", "REF", "ALT"], ["Chr", "Position", "ref_allele", "alt_allele"]]
)
def test_usual_names_of_columns(names: list[str]) -> None:
    table = pd.DataFrame([("1", 5, "A", "C,G"), ("X", 7, "t", "TA")], columns=names)[names[::-1]]
    batches = list(read_variants(table, batch_size=1))
    assert [line for b in batches for line in b.lines] == [b"1\t5\t.\tA\tC,G\t.\t.\t.", b"X\t7\t.\tt\tTA\t.\t.\t."]
    assert [(b.start, b.allele_chrom, b.allele_pos.tolist(), b.allele_ref, b.alt) for b in batches] == [
        (0, ["1", "1"], [5, 5], ["A", "A"], ["C", "G"]),
        (1, ["X"], [7], ["t"], ["TA"]),
    ]


@pytest.mark.parametrize("pos", [[5, 7], [5.0, 7.0], ["5", "7"], np.array([5, 7], np.uint32), pd.array([5, 7], "Int64")])
@pytest.mark.parametrize("chrom", [[1, 2], ["1", "2"], pd.Categorical(["1", "2"])])
def test_types_of_columns(pos: object, chrom: object) -> None:
    table = pd.DataFrame({"chrom": chrom, "pos": pos, "ref": "A", "alt": "C", "id": ["rs1", None]})
    lines = list(chain.from_iterable(batch.lines for batch in read_variants(table)))
    assert lines == [b"1\t5\trs1\tA\tC\t.\t.\t.", b"2\t7\t.\tA\tC\t.\t.\t."]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos": [1, None]}, r"Row 1 \(index 'b'\) has nan in the column pos; needed is a whole number"),
        ({"pos": [1, 2.5]}, "Row 1 .* has 2.5"),
        ({"pos": [-1, 2]}, "Row 0 .* has -1"),
        ({"pos": ["x", 2]}, "Row 0 .* has 'x'"),
        ({"pos": [True, 2]}, "Row 0 .* has True"),
        ({"pos": [float("inf"), 2]}, "Row 0 .* has inf"),
        ({"ref": ["A", None]}, "Row 1 .* has None in the column ref"),
        ({"alt": ["A\tC", "A"]}, "Row 0 .* needed is text without white space"),
        ({"alt": ["", "A"]}, "Row 0 .* has '' in the column alt"),
        ({"chrom": [1.0, float("nan")]}, "Row 0 .* has 1.0 in the column chrom"),
        ({"chr": ["1", "2"]}, "The columns chrom, chr all mean chrom"),
    ],
)
def test_bad_tables_are_named_by_row(changes: dict, message: str) -> None:
    table = pd.DataFrame({"chrom": ["1", "2"], "pos": [1, 2], "ref": ["A", "C"], "alt": ["C", "A"]}, index=["a", "b"])
    with pytest.raises(VcfError, match=message):
        read_variants(table.assign(**changes))


def test_missing_columns_are_named() -> None:
    with pytest.raises(VcfError, match="has the columns chrom, start; needed is one named pos or position"):
        read_variants(pd.DataFrame({"chrom": ["1"], "start": [4]}))


def test_table_fingerprints_follow_the_variants() -> None:
    table = pd.DataFrame({"chrom": ["1", "2"], "pos": [1, 2], "ref": ["A", "C"], "alt": ["C", "A"]})
    first = read_variants(table).fingerprint()
    assert read_variants(table.assign(score=1.0), batch_size=1).fingerprint() == first
    assert read_variants(table[::-1]).fingerprint() != first
    assert read_variants(table.assign(alt=["C", "G"])).fingerprint() != first
