"""Scores of variants: the formulas, both strands, any batch, any damage."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2mae_bio.dna.scoring import _output as _variant_output
from r2mae_bio.io import Genome, encode_bases, reverse_complement
from r2mae_bio.model import DNAMAE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
from .conftest import (
    CHROM,
    CIRCLE,
    FLANK,
    NUMBERS,
    OTHER,
    WINDOW,
    Model,
    open_genome,
    random_alleles,
    random_bases,
    score,
    snvs,
    table,
    window_around,
)

# ---------------------------------------------------------------- models


class ConstantModel(Model):
    """Knows the frequencies of the bases, which are the same on both strands, and nothing else; a
    state is the base itself.
    """

    PROBS = np.array([0.4, 0.1, 0.1, 0.4])

    def forward(self, codes: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.log(self.PROBS), (*codes.shape, 4))

    def states(self, codes: np.ndarray, **_: Any) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[codes]


# ---------------------------------------------------------------- genomes and alleles


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM, "ring": CIRCLE}, circular="ring")


# ---------------------------------------------------------------- the formulas


def test_hand_answers(genome: Genome) -> None:
    """Of frequencies alone: ratios and means of logarithms that anyone can compute."""
    at = next(p for p in range(30, 200) if CHROM[p - 1 : p + 2] == "ACG")
    rows = [("chr1", at, "A", "C"), ("chr1", at, "ACG", "TGG"), ("chr1", at, "A", "A")]
    found = score(table(*rows), genome, ConstantModel())
    frequent, rare = np.log(0.4), np.log(0.1)
    assert found["kind"].tolist() == ["snv", "mnv", "identical"]
    assert set(found["status"]) == {"ok"}
    # the flanks cancel; of the 2 + 2 * 3 positions, C became G: as frequent
    np.testing.assert_allclose(found["llr"], [rare - frequent, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["abs_llr"], [frequent - rare, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.loc[0, ["p_ref", "p_alt"]].astype(float), [0.4, 0.1], rtol=1e-5)
    assert found.loc[0, "entropy"] == pytest.approx(-2 * (0.4 * frequent + 0.1 * rare), rel=1e-5)
    assert found.loc[1:, ["p_ref", "p_alt", "entropy"]].isna().all(axis=None)
    # two counts of 25 change by one in an SNV; the MNV exchanges A for T and C for G
    np.testing.assert_allclose(found["embedding_distance"], np.array([np.sqrt(2), 2, 0]) / WINDOW, rtol=1e-5)


def test_insertion_by_hand(genome: Genome) -> None:
    at = next(p for p in range(30, 200) if CHROM[p - 1] == "A" and CHROM[p] == "T")
    found = score(table(("chr1", at, "A", "AGC")), genome, ConstantModel()).loc[0]
    flanks = np.log([ConstantModel.PROBS[encode_bases(base)[0]] for base in CHROM[at - FLANK : at + FLANK]])
    assert found["llr"] == pytest.approx(np.mean([*flanks, np.log(0.1), np.log(0.1)]) - flanks.mean(), abs=1e-6)


def one_hidden(model: Model, window: str, position: int) -> np.ndarray:
    codes = encode_bases(window)[None]
    return model.log_probs(codes, np.arange(len(window))[None] == position)[0, position].astype(float)


def mean_state(model: Model, window: str) -> np.ndarray:
    codes = encode_bases(window)
    return model.states(codes[None])[0][codes < 4].astype(float).mean(axis=0)


@pytest.mark.parametrize(("chrom", "bases"), [("chr1", CHROM), ("ring", CIRCLE)])
def test_snvs_agree_with_one_at_a_time(genome: Genome, chrom: str, bases: str) -> None:
    """Every base of both contigs, to their very ends: N beyond those of one, the other gone
    round.
    """
    variants = snvs(range(1, len(bases) + 1), bases, chrom)
    found = score(variants, genome)
    model, expected = Model(), []
    for pos, ref, alt in variants[["pos", "ref", "alt"]].itertuples(index=False):
        window = window_around(bases, pos - 1, pos, WINDOW, circular=chrom == "ring")
        other = window[: WINDOW // 2] + alt + window[WINDOW // 2 + 1 :]
        log_probs = one_hidden(model, window, WINDOW // 2)
        r, a = (log_probs[encode_bases(base)[0]] for base in (ref, alt))
        distance = np.linalg.norm(mean_state(model, other) - mean_state(model, window))
        expected.append([a - r, abs(a - r), np.exp(r), np.exp(a), -np.sum(np.exp(log_probs) * log_probs), distance])
    assert set(found["status"]) == {"ok"}
    np.testing.assert_allclose(found[NUMBERS].astype(float), expected, atol=2e-6)


UNIQUE = [
    ("GT", "CA"),  # (removed, inserted); the ends differ from the neighbours where the test puts them
    ("GTC", "CAA"),
    ("G", "CAT"),
    ("GTCAG", "CT"),
    ("GTC", ""),
    ("", "CAT"),
    ("G", "CA"),
    ("", "CA"),
]


@pytest.mark.parametrize(("removed", "inserted"), UNIQUE)
@pytest.mark.parametrize("width", [24, 25])
def test_longer_changes_agree_with_one_at_a_time(tmp_path: Path, removed: str, inserted: str, width: int) -> None:
    """Both haplotypes written out in full, each scored base hidden alone; where a window cannot be
    centred, one of two it may be.
    """
    left, right = random_bases(60, "left")[:-1] + "A", "T" + random_bases(60, "right")[1:]
    if not (removed and inserted):  # no repeat that would allow another place
        left, right = left[:-1] + ("A" if removed else "G"), ("A" if removed else "G") + right[1:]
    model, alternatives = Model(width), []
    for odd in (0, 1):
        means = []
        for span in (removed, inserted):
            room = width - len(span)
            first = len(left) - room // 2 - (odd if room % 2 else 0)
            window = (left + span + right)[first : first + width]
            at = range(len(left) - first - FLANK, len(left) - first + len(span) + FLANK)
            means.append(np.mean([one_hidden(model, window, i)[encode_bases(window[i])[0]] for i in at]))
        alternatives.append(means[1] - means[0])
    reference = open_genome(tmp_path, {"1": left + removed + right})
    found = score(table(("1", len(left), left[-1] + removed, left[-1] + inserted)), reference, model).loc[0]
    assert found["status"] == "ok"
    assert min(abs(found["llr"] - value) for value in alternatives) < 2e-6
    assert found["abs_llr"] == abs(found["llr"])


# ---------------------------------------------------------------- what values must not depend on


@pytest.mark.parametrize("width", [24, 25])
@pytest.mark.parametrize("seed", range(3))
def test_the_other_strand_gives_the_same(tmp_path: Path, width: int, seed: int) -> None:
    """A strand-symmetric model, the genome turned round and the alleles with it; contig ends, N and
    repeats are among them.
    """
    alleles = random_alleles(CHROM, 150, "strands", seed) + random_alleles("ACACAC" * 20, 20, "repeat", seed)
    contigs = {"a": CHROM, "b": "ACACAC" * 20}
    names = ["a"] * 150 + ["b"] * 20
    forward = table(*((name, s + 1, ref, alt) for name, (s, ref, alt) in zip(names, alleles, strict=True)))
    backward = table(
        *(
            (name, len(contigs[name]) - s - len(ref) + 1, reverse_complement(ref), reverse_complement(alt))
            for name, (s, ref, alt) in zip(names, alleles, strict=True)
        )
    )
    turned = {name: reverse_complement(bases) for name, bases in contigs.items()}
    (tmp_path / "turned").mkdir()
    one = score(forward, open_genome(tmp_path, contigs), Model(width))
    two = score(backward, open_genome(tmp_path / "turned", turned), Model(width))
    assert one["kind"].nunique() >= 4
    assert one["status"].tolist() == two["status"].tolist()
    np.testing.assert_allclose(one[NUMBERS].astype(float), two[NUMBERS].astype(float), atol=5e-6)


def equivalents(bases: str, start: int, length: int) -> set[tuple[int, str, str]]:
    """Every deletion of ``length`` bases that leaves the same sequence, with anchors before, after
    and on both sides.
    """
    wanted = bases[:start] + bases[start + length :]
    found = set()
    for s in range(3, len(bases) - length - 3):
        if bases[:s] + bases[s + length :] == wanted:
            found |= {(s - b, bases[s - b : s + length + a], bases[s - b : s] + bases[s + length : s + length + a])
                      for b, a in ((1, 0), (0, 1), (2, 2))}  # fmt: skip
    return found


@pytest.mark.parametrize("unit", ["A", "AC", "ACT"])
def test_the_way_an_allele_is_written_does_not_matter(tmp_path: Path, unit: str) -> None:
    bases = random_bases(60, "a")[:-1] + "G" + unit * 4 + "G" + random_bases(60, "b")[1:]
    deletions = sorted(equivalents(bases, 60, len(unit)))
    assert len(deletions) >= 9
    genome = open_genome(tmp_path, {"1": bases})
    found = score(table(*(("1", s + 1, ref, alt) for s, ref, alt in deletions)), genome)
    assert set(found["status"]) == {"ok"}
    assert found["llr"].nunique() == found["embedding_distance"].nunique() == 1
    # the reverse: the same bases put back into the shorter genome
    (tmp_path / "short").mkdir()
    shorter = open_genome(tmp_path / "short", {"1": bases[:60] + bases[60 + len(unit) :]})
    back = score(table(*(("1", s + 1, alt, ref) for s, ref, alt in deletions)), shorter)
    assert set(back["status"]) == {"ok"}
    np.testing.assert_allclose(back["llr"].astype(float), -found["llr"].astype(float), atol=1e-6)


@pytest.mark.parametrize("size", [40, 90])
def test_a_circle_may_be_cut_anywhere(tmp_path: Path, size: int) -> None:
    bases = random_bases(size, "cut", size)
    turned = bases[20:] + bases[:20]
    # REF over the cut would leave the contig
    alleles = [(s, r, a) for s, r, a in random_alleles(bases, 60, "cut", size) if not s < 20 < s + len(r)]
    (tmp_path / "turned").mkdir()
    first = open_genome(tmp_path, {"1": bases}, circular="all")
    second = open_genome(tmp_path / "turned", {"1": turned}, circular="all")
    one = score(table(*(("1", s + 1, r, a) for s, r, a in alleles)), first)
    two = score(table(*(("1", (s - 20) % size + 1, r, a) for s, r, a in alleles)), second)
    assert set(one["status"]) == set(two["status"]) == {"ok"}
    assert one["kind"].nunique() >= 4
    np.testing.assert_allclose(one[NUMBERS].astype(float), two[NUMBERS].astype(float), atol=1e-6)


def test_longer_forms_and_lower_case_do_not_matter(genome: Genome) -> None:
    """An SNV may be written with its neighbours, in any case."""
    ref = CHROM[99]
    short = score(table(("chr1", 100, ref, OTHER[ref])), genome)
    context = CHROM[97:102]
    long = score(table(("chr1", 98, context.lower(), context[:2] + OTHER[ref] + context[3:])), genome)
    assert long["kind"].tolist() == ["snv"]
    pd.testing.assert_frame_equal(short[NUMBERS], long[NUMBERS])


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_values_do_not_depend_on_batch_mates(genome: Genome, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    alleles = random_alleles(CHROM, 60, "mates")
    variants = table(*(("chr1", s + 1, ref, alt) for s, ref, alt in alleles))
    together = score(variants, genome)[NUMBERS].astype(float)
    monkeypatch.setattr(_variant_output, "RECORDS", 7)
    monkeypatch.setattr("r2mae_bio.dna.scoring._pseudo_likelihood._MAX_VALUES", 1000)
    np.testing.assert_allclose(score(variants, genome, batch_size=batch_size)[NUMBERS].astype(float), together, atol=1e-5)
    alone = [score(variants.iloc[i : i + 1], genome)[NUMBERS].astype(float) for i in range(0, 60, 6)]
    np.testing.assert_allclose(pd.concat(alone), together.iloc[::6], atol=1e-5)


@settings(max_examples=15)
@given(st.permutations(range(12)))
def test_values_follow_their_records(genome: Genome, order: list[int]) -> None:
    alleles = [("chr1", s + 1, ref, alt) for s, ref, alt in random_alleles(CHROM, 12, "order")]
    straight = score(table(*alleles), genome)[NUMBERS]
    shuffled = score(table(*(alleles[i] for i in order)), genome)[NUMBERS]
    pd.testing.assert_frame_equal(shuffled, straight.iloc[order].reset_index(drop=True), atol=1e-6)


# ---------------------------------------------------------------- work


def test_nothing_is_read_twice(genome: Genome) -> None:
    """An SNV takes one hidden window and two embedded ones; further alleles there add one embedded
    window each.
    """
    ref = CHROM[99]
    alts = [base for base in "ACGT" if base != ref]
    model = Model()
    score(table(("chr1", 100, ref, alts[0])), genome, model)
    assert (model.n_read, model.n_embedded) == (1, 2)
    model = Model()
    score(table(*[("chr1", 100, ref, ",".join(alts))] * 5), genome, model)
    assert (model.n_read, model.n_embedded) == (1, 4)


def test_without_distance_no_states_are_asked_for(genome: Genome) -> None:
    model = Model()
    found = score(snvs(range(50, 60)), genome, model, embedding_distance=False)
    assert model.n_embedded == 0
    assert "embedding_distance" not in found.columns
    pd.testing.assert_frame_equal(found, score(snvs(range(50, 60)), genome).drop(columns="embedding_distance"))


# ---------------------------------------------------------------- damage


N_AT = CHROM.index("n")


BAD = [
    ("chr1", 100, OTHER[CHROM[99]], "A", "ref_mismatch"),
    ("nowhere", 100, "A", "C", "off_contig"),
    ("chr1", 0, "A", "C", "off_contig"),
    ("chr1", len(CHROM) + 1, "A", "C", "off_contig"),
    ("chr1", len(CHROM), CHROM[-1] + "A", "C", "off_contig"),
    ("chr1", N_AT + 1, "A", "C", "ambiguous_base"),
    ("chr1", 100, CHROM[99], "N", "ambiguous_base"),
    ("chr1", 100, CHROM[99], "<DEL>", "symbolic"),
    ("chr1", 100, CHROM[99], "*", "symbolic"),
    ("chr1", 100, CHROM[99], ".", "symbolic"),
    ("chr1", 100, CHROM[99], "G]17:198982]", "symbolic"),
    ("chr1", 100, CHROM[99], CHROM[99] + "A" * 60, "too_long"),
]


def test_damage_gives_a_reason_and_touches_no_neighbour(genome: Genome) -> None:
    good = snvs(range(101, 101 + len(BAD)))
    mixed = pd.concat([pd.concat([good.iloc[[i]], table(row[:4])]) for i, row in enumerate(BAD)], ignore_index=True)
    found = score(mixed, genome)
    assert found["status"].tolist() == [status for *_, bad in BAD for status in ("ok", bad)]
    assert found.iloc[1::2][NUMBERS].isna().all(axis=None)
    alone = score(good, genome)[NUMBERS]
    assert alone.notna().all(axis=None)
    pd.testing.assert_frame_equal(found.iloc[::2][NUMBERS].reset_index(drop=True), alone, atol=1e-6)


def test_no_allele_can_be_scored(genome: Genome) -> None:
    model = Model()
    with pytest.warns(UserWarning, match="0 of 12 alleles were scored"):
        found = score(table(*(row[:4] for row in BAD)), genome, model)
    assert found["status"].tolist() == [row[4] for row in BAD]
    assert model.n_read == model.n_embedded == 0


def test_an_empty_table_gives_an_empty_one(genome: Genome) -> None:
    full = score(snvs(range(100, 102)), genome)
    empty = score(snvs(range(100, 102)).iloc[:0], genome)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert len(empty) == 0


def test_a_repeat_wider_than_the_window_makes_no_difference(tmp_path: Path) -> None:
    """All that the model can see is the same before and after."""
    genome = open_genome(tmp_path, {"1": "C" + "A" * 200 + "G"})
    found = score(table(("1", 1, "CA", "C"), ("1", 1, "C", "CAA")), genome)
    assert found["status"].tolist() == ["ok", "ok"]
    np.testing.assert_array_equal(found[["llr", "embedding_distance"]], 0)


# ---------------------------------------------------------------- settings


def test_context_limits_what_is_seen(genome: Genome, tmp_path: Path) -> None:
    """A change outside of the context changes nothing, one inside does."""
    ref = CHROM[99]
    one = table(("chr1", 100, ref, OTHER[ref]))

    def change(at: int) -> Callable[[], Genome]:
        folder = tmp_path / str(at)
        folder.mkdir()
        return lambda: open_genome(folder, {"chr1": CHROM[:at] + OTHER[CHROM[at]] + CHROM[at + 1 :]})

    # 100 is the centre, at index 99, of a window from 95 to 103
    found = score(one, genome, context=9).loc[0, NUMBERS].astype(float)
    outside = score(one, change(94)(), context=9).loc[0, NUMBERS].astype(float)
    inside = score(one, change(95)(), context=9).loc[0, NUMBERS].astype(float)
    np.testing.assert_array_equal(outside, found)
    assert abs(inside - found).max() > 1e-4


def test_max_length_spares_single_bases(genome: Genome) -> None:
    ref = CHROM[99]
    found = score(table(("chr1", 100, ref, f"{OTHER[ref]},{ref}AC,{ref}ACT")), genome, max_length=2)
    assert found["status"].tolist() == ["ok", "ok", "too_long"]
    assert score(table(("chr1", 100, ref, f"{ref + 'A' * 20},{ref}")), genome, max_length=None)["status"].tolist() == [
        "too_long",
        "ok",
    ]
    assert score(table(("chr1", 100, ref, ref + "A" * 19)), genome, max_length=None)["status"].tolist() == ["ok"]


def test_what_stands_beside_a_change_in_its_record_makes_no_difference(genome: Genome) -> None:
    """Longer than the limit, or with N in it: the same haplotypes have the same values."""
    at = N_AT - 3  # 0-based; the base, two more, and N
    ref, far = CHROM[at].upper(), CHROM[at - 60 : at + 8].upper()
    assert "N" in far
    short = score(table(("chr1", at + 1, ref, f"{OTHER[ref]},{ref}{ref}GA")), genome)
    long = [far[:60] + change + far[61:] for change in (OTHER[ref], f"{ref}{ref}GA")]
    joined = score(table(("chr1", at - 59, far, ",".join([far[:1], *long]))), genome)
    assert short["status"].tolist() == ["ok", "ok"]
    assert joined["status"].tolist() == ["too_long", "ok", "ok"]
    pd.testing.assert_frame_equal(joined.loc[1:, NUMBERS].reset_index(drop=True), short[NUMBERS], atol=1e-6)


def test_a_model_that_answers_many_questions_gives_the_same(tmp_path):
    genome = open_genome(tmp_path, {"chr1": CHROM})
    model = DNAMAE(genome, window=WINDOW, n_layers=3, d_model=16, n_heads=2, attention_every=2)
    model.initialize()
    plain = SimpleNamespace(
        window=model.window, n_dim=model.n_dim, checksum=model.checksum, log_probs=model.log_probs, states=model.states
    )
    alleles = table(*(("chr1", start + 1, ref, alt) for start, ref, alt in random_alleles(CHROM, 40, "many")))
    alleles = pd.concat([alleles, snvs(range(1, 60))], ignore_index=True)
    found, expected = score(alleles, genome, model), score(alleles, genome, plain)
    assert (expected["status"] == "ok").sum() > 60
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], atol=1e-5)
