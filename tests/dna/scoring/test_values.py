"""Scores of variants: the formulas, both strands, any batch, any damage, any interruption."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.scoring import _output as _variant_output
from r2mae_bio.errors import ConfigError, JournalError, SetupError, VcfError
from r2mae_bio.io import Genome, decode_bases, encode_bases, reverse_complement
from r2mae_bio.model import DNAMAE
from r2mae_bio.tl import score_variants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUMBERS = ["llr", "abs_llr", "p_ref", "p_alt", "entropy", "embedding_distance"]
WINDOW, FLANK = 25, 3


# ---------------------------------------------------------------- models


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


class Model:
    """Both strands are read as the contract says, whatever ``forward`` and ``encode`` do with one
    of them.
    """

    n_dim = 5

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self.n_read = self.n_embedded = 0
        self.n_until_interrupted = 10**9
        rng = derive_generator(1, "toy")
        self.table = rng.normal(size=(13, 5, 4)) * np.exp(-np.abs(np.arange(-6, 7)) / 3)[:, None, None]
        self.letters = rng.normal(size=(5, 5))
        self.slope = rng.normal(size=5)

    def checksum(self) -> str:
        return hashlib.sha256(self.table.tobytes()).hexdigest()

    def forward(self, codes: np.ndarray) -> np.ndarray:
        """Each visible base within six of a position speaks for some bases there."""
        wide = np.pad(codes, ((0, 0), (6, 6)), constant_values=4)
        n = codes.shape[1]
        return log_softmax(sum(self.table[o][wide[:, o : o + n]] for o in range(13) if o != 6))

    def encode(self, codes: np.ndarray) -> np.ndarray:
        before = np.pad(codes, ((0, 0), (1, 0)), constant_values=4)[:, :-1]
        return np.tanh(self.letters[codes] + self.slope * self.letters[before])

    def log_probs(
        self, codes: np.ndarray, hidden: Any = None, *, strand: str = "both", batch_size: int | None = None
    ) -> np.ndarray:
        assert codes.shape[1] <= self.window
        assert strand == "both"
        self.n_read += len(codes)
        self.n_until_interrupted -= len(codes)
        if self.n_until_interrupted < 0:
            raise KeyboardInterrupt
        codes = np.where(hidden, 4, codes).astype(np.uint8)
        other = self.forward(reverse_complement(codes))[:, ::-1, ::-1]
        return log_softmax((self.forward(codes) + other) / 2).astype(np.float32)

    def states(self, codes: np.ndarray, *, layer: int = -1, strand: str = "both", batch_size: int | None = None) -> np.ndarray:
        self.n_embedded += len(codes)
        return ((self.encode(codes) + self.encode(reverse_complement(codes))[:, ::-1]) / 2).astype(np.float32)


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


def random_bases(n: int, stream: str, *position: int) -> str:
    return decode_bases(derive_generator(3, stream, *position).integers(0, 4, n).astype(np.uint8))


CHROM = (
    random_bases(300, "chrom")[:290] + "nnnnnnnnnn" + random_bases(60, "tail").lower() + "ACACACACACAC" + random_bases(40, "end")
)
CIRCLE = random_bases(40, "circle")  # longer than the window, shorter than two


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM, "ring": CIRCLE}, circular="ring")


def open_genome(folder: Path, contigs: dict[str, str], **options: Any) -> Genome:
    path = folder / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    return Genome(path, cache_dir=folder / "cache", **options)


def table(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["chrom", "pos", "ref", "alt"])


def score(variants: Any, genome: Any, model: Any = None, **options: Any) -> Any:
    options = {"flank": FLANK, "progress_bar": False, **options}
    return score_variants(variants, genome, Model() if model is None else model, **options)


OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}


def snvs(positions: range, bases: str = CHROM, chrom: str = "chr1") -> pd.DataFrame:
    """One SNV at each 1-based position."""
    known = [(p, bases[p - 1].upper()) for p in positions if bases[p - 1] not in "nN"]
    return table(*((chrom, p, ref, OTHER[ref]) for p, ref in known))


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


def window_around(bases: str, start: int, end: int, width: int, *, circular: bool = False) -> str:
    """As many bases on both sides of start:end as a window holds, N beyond the ends."""
    assert (width - (end - start)) % 2 == 0
    first = start - (width - (end - start)) // 2
    if circular:
        return "".join(bases[i % len(bases)] for i in range(first, first + width))
    return "".join(bases[i] if 0 <= i < len(bases) else "N" for i in range(first, first + width))


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


def random_alleles(bases: str, n: int, stream: str, *position: int) -> list[tuple[int, str, str]]:
    """0-based start, REF, ALT of all kinds, anywhere, REF as in the genome."""
    rng = derive_generator(5, stream, *position)
    alleles: list[tuple[int, str, str]] = []
    while len(alleles) < n:
        start, length = int(rng.integers(0, len(bases))), int(rng.integers(1, 6))
        ref = bases[start : start + length].upper()
        alt = decode_bases(rng.integers(0, 4, int(rng.integers(1, 6))).astype(np.uint8))
        if rng.random() < 0.3:  # within a repeat, where there is one
            alt = ref + ref
        if "N" not in ref:
            alleles.append((start, ref, alt))
    return alleles


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
    monkeypatch.setattr("r2mae_bio.tl._score_variants.RECORDS", 7)
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


# ---------------------------------------------------------------- files


def write_vcf(path: Path, *, n: int = 60) -> Path:
    """SNVs, indels, several alleles and damage, with annotation and samples of their own."""
    header = '##fileformat=VCFv4.2\n##INFO=<ID=AC,Number=A,Type=Integer,Description="x">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
    rows = []
    for i in range(n):
        ref = CHROM[20 + 4 * i].upper()
        alt = [OTHER[ref], f"{OTHER[ref]},{ref}GA", "<DEL>", f"{OTHER[ref]},*"][i % 4]
        rows.append(f"{'1' if i % 2 else 'chr1'}\t{21 + 4 * i}\trs{i}\t{ref}\t{alt}\t50\tPASS\tAC={i}\tGT\t0|1\n")
    text = (header + "".join(rows)).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def lines(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().splitlines()


def test_vcf_keeps_every_record_and_agrees_with_the_table(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf")
    values = score(source, genome)
    assert score(source, genome, out=tmp_path / "out.vcf.gz") == tmp_path / "out.vcf.gz"
    before, after = ([line.split("\t") for line in lines(p) if line[0] != "#"] for p in (source, tmp_path / "out.vcf.gz"))
    assert [r[:7] + r[8:] for r in after] == [r[:7] + r[8:] for r in before]
    assert all(a[7].startswith(b[7] + ";R2MAE_") for a, b in zip(after, before, strict=True))
    infos = [dict(field.split("=") for field in r[7].split(";")) for r in after]
    for name in NUMBERS:
        written = [float(x) if x != "." else np.nan for info in infos for x in info[f"R2MAE_{name.upper()}"].split(",")]
        np.testing.assert_allclose(written, values[name].astype(float), rtol=1e-5, err_msg=name)
    for name in ("kind", "status"):
        assert [x for info in infos for x in info[f"R2MAE_{name.upper()}"].split(",")] == values[name].tolist()


def test_vcf_header_declares_the_fields_per_allele(genome: Genome, tmp_path: Path) -> None:
    score(write_vcf(tmp_path / "in.vcf"), genome, out=tmp_path / "out.vcf")
    header = [line for line in lines(tmp_path / "out.vcf") if line.startswith("##")]
    names = [*NUMBERS, "kind", "status"]
    for name in names:
        kind = "Float" if name in NUMBERS else "String"
        assert sum(line.startswith(f"##INFO=<ID=R2MAE_{name.upper()},Number=A,Type={kind},Description=") for line in header) == 1
    assert sum(Model().checksum() in line for line in header) == 1


def test_parquet_is_the_table(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf.gz")
    score(source, genome, out=tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), score(source, genome), check_dtype=False)


def test_genome_by_path_with_aliases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    genome = open_genome(tmp_path, {"chr1": CHROM})
    variants = snvs(range(100, 110), chrom="first")
    assert set(score(variants, genome)["status"]) == {"off_contig"}
    found = score(variants, genome.sources[0], aliases={"first": "chr1"})
    pd.testing.assert_frame_equal(found[NUMBERS], score(snvs(range(100, 110)), genome)[NUMBERS])


@pytest.fixture
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2mae_bio.tl._score_variants.RECORDS", 8)
    monkeypatch.setattr(_variant_output, "RECORDS", 8)


@pytest.mark.usefixtures("short_batches")
@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".parquet"])
def test_interrupted_and_resumed_equals_uninterrupted(genome: Genome, tmp_path: Path, suffix: str) -> None:
    source, path, whole = write_vcf(tmp_path / "in.vcf"), tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    full = Model()
    score(source, genome, full, out=whole)
    total = 0
    for n in (3, full.n_read // 3, full.n_read // 2):
        model = Model()
        model.n_until_interrupted = n
        with pytest.raises(KeyboardInterrupt):
            score(source, genome, model, out=path)
        assert not path.exists()
        assert path.with_name(path.name + ".part").exists()
        total += n
    last = Model()
    score(source, genome, last, out=path)
    assert last.n_read < full.n_read  # what was written is not scored again
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.vcf", path.name, whole.name])


@pytest.mark.usefixtures("short_batches")
@pytest.mark.parametrize(
    ("options", "named"),
    [({"context": 23}, "context"), ({"flank": 4}, "flank"), ({"batch_size": 2}, "batch_size"), ({"max_length": 4}, "max_length")],
)
def test_other_settings_do_not_go_on(genome: Genome, tmp_path: Path, options: dict[str, int], named: str) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    model = Model()
    model.n_until_interrupted = 40
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    with pytest.raises(JournalError, match=rf"header|settings {named}"):
        score(source, genome, out=path, **options)
    score(source, genome, out=path, resume=False, **options)
    score(source, genome, out=tmp_path / "whole.vcf", **options)
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


@pytest.mark.usefixtures("short_batches")
def test_another_model_or_genome_does_not_go_on(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    model = Model()
    model.n_until_interrupted = 40
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    other = Model()
    other.table = other.table + 1
    with pytest.raises(JournalError, match="settings model"):
        score(source, genome, other, out=path)
    with pytest.raises(JournalError, match="settings genome"):
        score(source, open_genome(tmp_path, {"chr1": CHROM + "A", "ring": CIRCLE}, circular="ring"), out=path)
    with pytest.raises(JournalError, match="settings genome circular"):
        score(source, Genome(genome.sources, cache_dir=genome.cache.parent), out=path)


def test_an_existing_output_is_kept_unless_asked(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="overwrite"):
        score(source, genome, out=path)
    assert path.read_text() == "precious"
    score(source, genome, out=path, overwrite=True)
    assert "R2MAE_LLR" in path.read_text()


def test_a_cut_file_is_refused_before_any_work(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf.gz")
    source.write_bytes(source.read_bytes()[:-200])
    model = Model()
    with pytest.raises(VcfError, match="cut or damaged"):
        score(source, genome, model, out=tmp_path / "out.vcf")
    assert model.n_read == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.vcf.gz"]


def test_scored_twice_is_refused(genome: Genome, tmp_path: Path) -> None:
    score(write_vcf(tmp_path / "in.vcf"), genome, out=tmp_path / "out.vcf")
    with pytest.raises(ConfigError, match="R2MAE_LLR.*exist already"):
        score(tmp_path / "out.vcf", genome, out=tmp_path / "again.vcf")


# ---------------------------------------------------------------- the model of this package


def test_a_saved_network_scores_as_the_open_one(genome: Genome, tmp_path: Path) -> None:
    """Whatever the batch; and its SNV scores are its log-probabilities where the base is hidden."""
    model = DNAMAE(genome, window=WINDOW, n_layers=1, d_model=16)
    model.initialize()
    single = snvs(range(5, 300, 30))
    others = table(*(("chr1", s + 1, ref, alt) for s, ref, alt in random_alleles(CHROM, 20, "network")))
    variants = pd.concat([single, others], ignore_index=True)
    found = score(variants, genome, model)
    saved = score(variants, genome, model.save(tmp_path / "model"), batch_size=5)
    pd.testing.assert_frame_equal(saved, found, rtol=0, atol=1e-5)
    for pos, ref, alt, llr in found.loc[: len(single) - 1, ["pos", "ref", "alt", "llr"]].itertuples(index=False):
        codes = encode_bases(window_around(CHROM, pos - 1, pos, WINDOW))[None]
        log_probs = model.log_probs(codes, np.arange(WINDOW)[None] == WINDOW // 2)[0, WINDOW // 2]
        assert llr == pytest.approx(log_probs[encode_bases(alt)[0]] - log_probs[encode_bases(ref)[0]], abs=1e-5)


def test_another_kind_of_model_is_refused(genome: Genome) -> None:
    with pytest.raises(SetupError, match="has no method log_probs"):
        score(snvs(range(100, 101)), genome, object())


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 26}, "context is 26 bp; the model reads windows of 1 to 25"),
        ({"context": 0}, "context is 0"),
        ({"flank": 0}, "flank is 0"),
        ({"flank": 13}, "flank is 13 bp; needed is at least 1, and less than half of the context of 25"),
        ({"max_length": 0}, "max_length is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"aliases": {"x": "chr1"}}, "aliases were passed together with an open genome"),
    ],
)
def test_settings_that_cannot_work(genome: Genome, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        score(snvs(range(100, 101)), genome, **options)


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
    found = score(table(("chr1", 100, ref, f"{OTHER[ref]},{ref}A,{ref}AC")), genome, max_length=2)
    assert found["status"].tolist() == ["ok", "ok", "too_long"]
    assert score(table(("chr1", 100, ref, ref + "A" * 19)), genome, max_length=None)["status"].tolist() == ["too_long"]
    assert score(table(("chr1", 100, ref, ref + "A" * 18)), genome, max_length=None)["status"].tolist() == ["ok"]
