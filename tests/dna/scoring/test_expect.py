"""``tl.neutral_expectation`` and the scores that are calibrated by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from r2mae_bio import tl
from r2mae_bio.dna.scoring import _output
from r2mae_bio.errors import ConfigError, DataError, JournalError
from r2mae_bio.io import Genome, NeutralExpectation, reverse_complement
from r2mae_bio.masking import Fixed

from .conftest import CHROM, OTHER, Model, open_genome, random_alleles, score, snvs, table

if TYPE_CHECKING:
    from pathlib import Path

SOFT = [i for i in range(2, len(CHROM) - 2) if CHROM[i].islower() and "n" not in CHROM[i - 2 : i + 3].lower()]


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM})


def expect(genome: Genome, model: Any = None, **options: Any) -> NeutralExpectation:
    return tl.neutral_expectation(genome, Model() if model is None else model, progress_bar=False, **options)


def test_sites_are_scored_as_variants_are(genome: Genome) -> None:
    """Means of scores that anyone can make: every soft-masked site, all three substitutions."""
    found = expect(genome)
    assert (found.n_sites, found.n_available, found.context) == (len(SOFT), len(SOFT), Model().window)
    rows = [("chr1", i + 1, CHROM[i].upper(), b) for i in SOFT for b in "ACGT" if b != CHROM[i].upper()]
    scored = score(table(*rows), genome, embedding_distance=False)
    made = found.table.set_index(["context", "alt"])
    for context, alt in (("C", "T"), ("T", "G")):
        pairs = ((context, alt), (reverse_complement(context), reverse_complement(alt)))
        mine = scored[[(ref, to) in pairs for ref, to in zip(scored["ref"], scored["alt"], strict=True)]]["llr"]
        assert made.loc[(context, alt), "n"] == len(mine)
        assert made.loc[(context, alt), "mean"] == pytest.approx(mine.astype(float).mean(), rel=1e-6)
        assert made.loc[(context, alt), "sd"] == pytest.approx(mine.astype(float).std(), rel=1e-6)


def test_calibrated_scores_have_no_mean_at_the_sites_they_were_made_of(genome: Genome) -> None:
    """By substitution, where drawing to the mean changes nothing."""
    found = expect(genome)
    rows = [("chr1", i + 1, CHROM[i].upper(), b) for i in SOFT for b in "ACGT" if b != CHROM[i].upper()]
    scored = score(table(*rows), genome, neutral=found)
    expected, _ = found.at(
        genome,
        np.zeros(len(rows), np.int64),
        scored["pos"].to_numpy() - 1,
        np.array(["ACGT".index(b) for b in scored["alt"]], np.uint8),
    )
    np.testing.assert_allclose(scored["calibrated_llr"], scored["llr"] - expected, atol=1e-5)
    assert scored["calibrated_llr"].std() < scored["llr"].std()
    assert abs(scored["calibrated_llr"].mean()) < 0.1 * abs(scored["llr"].mean())


def test_the_strand_does_not_matter(genome: Genome, tmp_path: Path) -> None:
    """Expectation, calibrated score, masked mean and deviation of the genome turned round."""
    turned = open_genome(tmp_path, {"chr1": reverse_complement(CHROM)})
    variants = snvs(range(40, 80))
    size = len(CHROM)
    other = [("chr1", size + 1 - p, reverse_complement(r), reverse_complement(a)) for _, p, r, a in variants.to_numpy().tolist()]
    options = {"n_masks": 4, "embedding_distance": False}
    for context in (25, 24):
        one = score(variants, genome, neutral=expect(genome, context=context), context=context, **options)
        two = score(table(*other), turned, neutral=expect(turned, context=context), context=context, **options)
        for name in ("llr", "calibrated_llr", "masked_llr", "masked_llr_sd"):
            np.testing.assert_allclose(one[name].astype(float), two[name].astype(float), atol=2e-5, err_msg=name)


def test_only_snvs_are_calibrated_and_nothing_else_changes(genome: Genome, tmp_path: Path) -> None:
    rows = [("chr1", s + 1, r, a) for s, r, a in random_alleles(CHROM, 60, "calibrated")]
    rows += [
        ("chr1", 50, CHROM[49:51].upper(), OTHER[CHROM[49].upper()] + CHROM[50].upper()),
        ("chr1", 60, CHROM[59].upper(), "<DEL>"),
    ]
    plain = score(table(*rows), genome)
    more = score(table(*rows), genome, neutral=expect(genome), n_masks=2)
    assert more.drop(columns=["calibrated_llr", "masked_llr", "masked_llr_sd"]).equals(plain)
    snv = (more["kind"] == "snv") & (more["status"] == "ok")
    assert snv.sum() > 3
    for name in ("calibrated_llr", "masked_llr", "masked_llr_sd"):
        assert more[name].dtype == np.float32
        assert (more[name].notna() == snv).all()


def test_the_file_declares_the_fields_and_holds_the_table(genome: Genome, tmp_path: Path) -> None:
    neutral = expect(genome).save(tmp_path / "neutral.json")
    variants = snvs(range(40, 60))
    options = {"neutral": neutral, "n_masks": 2, "mask_ratio": 0.5}
    values = score(variants, genome, **options)
    text = score(variants, genome, out=tmp_path / "out.vcf", **options).read_text()
    for name in ("CALIBRATED_LLR", "MASKED_LLR", "MASKED_LLR_SD"):
        assert f"##INFO=<ID=R2MAE_{name},Number=A,Type=Float," in text
        written = [float(line.split(f"R2MAE_{name}=")[1].split(";")[0]) for line in text.splitlines() if line[0] != "#"]
        np.testing.assert_allclose(written, values[name.lower()], rtol=1e-5)
    (note,) = (line for line in text.splitlines() if line.startswith("##r2mae_bio_score_variants="))
    assert note.endswith(f", calibrated on {len(SOFT)} sites (soft-masked), 2 masks with Fixed(scope='row', ratio=0.5)")
    empty = score(variants.iloc[:0], genome, **options)
    assert list(empty.columns) == list(values.columns)
    assert (empty.dtypes == values.dtypes).all()


def test_without_hidden_bases_the_masked_mean_is_the_score(genome: Genome) -> None:
    found = score(snvs(range(40, 60)), genome, n_masks=4, mask_ratio=Fixed(0.0))
    np.testing.assert_allclose(found["masked_llr"], found["llr"], atol=1e-5)
    np.testing.assert_allclose(found["masked_llr_sd"], 0, atol=1e-5)
    hidden = score(snvs(range(40, 60)), genome, n_masks=4, mask_ratio=(0.2, 0.8))
    assert (hidden["masked_llr_sd"] > 0).all()


def test_an_unfinished_output_of_other_calibration_does_not_go_on(
    genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_output, "RECORDS", 8)
    model = Model()
    model.n_until_interrupted = 20
    variants, out = snvs(range(30, 80)), tmp_path / "out.vcf"
    neutral = expect(genome)
    with pytest.raises(KeyboardInterrupt):
        score(variants, genome, model, out=out, neutral=neutral)
    with pytest.raises(JournalError):
        score(variants, genome, out=out, neutral=expect(genome, n_sites=30))
    whole = score(variants, genome, out=tmp_path / "whole.vcf", neutral=neutral)
    assert score(variants, genome, out=out, neutral=neutral).read_bytes() == whole.read_bytes()


def test_what_cannot_be_is_refused(genome: Genome, tmp_path: Path) -> None:
    class Placed:
        window = 25

        def checksum(self) -> str:
            return "placed"

        def log_probs_at(self, contigs: Any, positions: Any) -> np.ndarray:
            return np.log(np.full((len(positions), 4), 0.25))

    variants = snvs(range(40, 45))
    with pytest.raises(ConfigError, match="context 25"):
        score(variants, genome, neutral=expect(genome), context=21)
    for n_masks in (3, -2, True):
        with pytest.raises(ConfigError, match="even number"):
            score(variants, genome, n_masks=n_masks)
    with pytest.raises(ConfigError, match="reads no context"):
        score(variants, genome, Placed(), n_masks=2, embedding_distance=False)
    with pytest.raises(DataError, match="neutral expectation"):
        score(variants, genome, neutral=tmp_path / "missing.json")


def test_a_model_of_places_is_calibrated_as_well(genome: Genome) -> None:
    class Placed:
        """Knows A better than the others, wherever it stands."""

        window = 25

        def checksum(self) -> str:
            return "placed"

        def log_probs_at(self, contigs: Any, positions: Any) -> np.ndarray:
            return np.log(np.tile([0.7, 0.1, 0.1, 0.1], (len(positions), 1)))

    found = score(snvs(range(40, 60)), genome, Placed(), neutral=expect(genome, Placed()), embedding_distance=False)
    assert found["llr"].abs().max() > 1
    assert found["calibrated_llr"].notna().all()
