"""The status of an allele against the reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.io import (
    AlleleStatus,
    check_allele,
    classify_alleles,
    read_variants,
)

SYMBOLIC = ["<DEL>", "<INS:ME>", "*", ".", "-", "", "C[2:5[", "]1:5]C", "G.", "A1", "é"]


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
        ("one", 4, "TNA", "TNC", "ok"),
        ("one", 4, "TNA", "GNA", "ok"),
        ("one", 5, "N", "NC", "ok"),
        ("one", 5, "NAC", "N", "ok"),
        ("one", 5, "NAC", "NAN", "ambiguous_base"),
        ("one", 5, "N", "N", "ambiguous_base"),
        ("one", 4, "TAA", "TAC", "ambiguous_base"),
        ("one", 5, "NAG", "NAT", "ref_mismatch"),
        ("one", 1, "ACGTNACGT", "ACGTNACG", "ok"),
        ("one", 1, "ACGTN", "ACGTNCCCC", "ok"),
        ("one", 1, "ACGTN", "ACGTNCCCCC", "too_long"),
        ("one", 13, "A", "C", "off_contig"),
        ("one", 12, "CA", "C", "off_contig"),
        ("one", 0, "A", "C", "off_contig"),
        ("three", 1, "A", "C", "off_contig"),
        ("three", 1, "A", "N", "off_contig"),
        ("one", 1, "A", "ACGTAC", "too_long"),
        ("one", 1, "ACGTNA", "A", "too_long"),
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
    ref, alt = ref.upper(), alt.upper()
    if not (ref and alt and set(ref + alt) <= letters):
        return "symbolic"
    if chrom not in GENOME or pos < 1 or pos + len(ref) - 1 > len(GENOME[chrom]):
        return "off_contig"
    removed, inserted = _changed(ref, alt)
    if len(removed) > limit or len(inserted) > limit:
        return "too_long"
    genome = GENOME[chrom][pos - 1 : pos - 1 + len(ref)].upper()
    wrong = "".join(g + r for g, r in zip(genome, ref, strict=True) if g != r)
    if set(wrong + (ref if ref == alt else removed + inserted)) - set("ACGT"):
        return "ambiguous_base"
    return "ref_mismatch" if wrong else "ok"


def _changed(ref: str, alt: str) -> tuple[str, str]:
    """What is left without what both have at their ends."""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt = ref[1:], alt[1:]
    return ref, alt


@given(st.lists(ROWS, max_size=20), st.integers(1, 3), st.booleans())
def test_batches_agree_with_the_definition(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple], limit: int, together: bool
) -> None:
    path = tmp_path_factory.mktemp("status") / "in.vcf"
    records = [f"{c}\t{p}\t.\t{r}\t{','.join(a)}\t.\t.\t.\n" for c, p, r, a in rows]
    path.write_text(
        "".join(["##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n", *records]), encoding="utf-8"
    )
    found: list[str] = []
    for batch in read_variants(path, batch_size=7):
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
