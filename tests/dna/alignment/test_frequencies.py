"""Conservation as a model: variants and regions scored by columns alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError, SetupError
from r2mae_bio.io import Alignment, ColumnFrequencies, Genome

from .conftest import block

REF = "AACCGGTTAACCATATATGC"
ROWS = ("ref.1 0 20 + 20 AACCGGTTAACCATATATGC", "a.1 0 20 + 90 AACTGGTTAACCATATATGC", "b.1 0 19 + 90 AACTGG-TAACCATATATGC")
HALF = 0.5


@pytest.fixture
def genome(tmp_path) -> Genome:
    (tmp_path / "ref.fa").write_text(f">chr1\n{REF}\n>chr2\nACGTACGTAC\n")
    return Genome(tmp_path / "ref.fa", cache_dir=tmp_path / "cache")


@pytest.fixture
def alignment(opened, genome) -> Alignment:
    return opened(block(*ROWS), genome=genome)


@pytest.fixture
def model(alignment) -> ColumnFrequencies:
    return ColumnFrequencies(alignment)


def score(rows, genome, model, **options) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"])
    return rb.tl.score_variants(table, genome, model, embedding_distance=False, flank=2, progress_bar=False, **options)


def test_single_bases_are_ratios_of_shares(genome, model) -> None:
    found = score([("1", 3, "C", "G"), ("1", 4, "C", "T"), ("1", 7, "T", "A"), ("chr2", 2, "C", "T")], genome, model)
    assert found["status"].eq("ok").all()
    p_ref, p_alt = [2.5 / 4, 0.5 / 4, 1.5 / 3, 0.25], [0.5 / 4, 2.5 / 4, 0.5 / 3, 0.25]
    np.testing.assert_allclose(found["p_ref"], p_ref, rtol=1e-6)
    np.testing.assert_allclose(found["p_alt"], p_alt, rtol=1e-6)
    np.testing.assert_allclose(found["llr"], np.log(p_alt) - np.log(p_ref), atol=1e-6)
    assert found["entropy"].iloc[3] == pytest.approx(np.log(4), rel=1e-6)


def logs(model: ColumnFrequencies, places: list[int], bases: str) -> np.ndarray:
    """Of each base, where it stands; -1 is nowhere."""
    found = model.log_probs_at(["chr1"] * len(places), np.array(places))
    return found[np.arange(len(places)), rb.io.encode_bases(bases)]


def test_longer_changes_are_means_over_places(genome, model) -> None:
    """Two bases on either side; inserted ones stand nowhere, replaced ones where the others did."""
    rows = [("1", 3, "CC", "TT"), ("1", 2, "ACC", "A"), ("1", 4, "C", "CTA"), ("1", 4, "CGG", "CA")]
    found = score(rows, genome, model)
    expected = [
        logs(model, [0, 1, 2, 3, 4, 5], "AATTGG").mean() - logs(model, [0, 1, 2, 3, 4, 5], "AACCGG").mean(),
        logs(model, [0, 1, 4, 5], "AAGG").mean() - logs(model, [0, 1, 2, 3, 4, 5], "AACCGG").mean(),
        logs(model, [2, 3, -1, -1, 4, 5], "CCTAGG").mean() - logs(model, [2, 3, 4, 5], "CCGG").mean(),
        logs(model, [2, 3, -1, 6, 7], "CCATT").mean() - logs(model, [2, 3, 4, 5, 6, 7], "CCGGTT").mean(),
    ]
    np.testing.assert_allclose(found["llr"], expected, atol=1e-6)


def test_where_a_repeat_is_cut_does_not_matter(genome, model) -> None:
    """ATATAT less AT, and plus AT, written at all places that give the same haplotype."""
    deleted = score([("1", 12 + i, REF[11 + i : 14 + i], REF[11 + i]) for i in range(5)], genome, model)
    inserted = score([("1", 12 + i, REF[11 + i], REF[11 + i] + "ATATA"[i % 2 : i % 2 + 2]) for i in range(7)], genome, model)
    for found in (deleted, inserted):
        assert found["status"].eq("ok").all()
        assert found["llr"].nunique() == 1
    around = "CCATATATGC"
    whole = logs(model, list(range(10, 20)), around).mean()
    cut = logs(model, [10, 11, 14, 15, 16, 17, 18, 19], "CCATATGC").mean()
    assert deleted["llr"].iloc[0] == pytest.approx(cut - whole, abs=1e-6)


def test_windows_that_read_the_same_are_told_apart(opened, tmp_path) -> None:
    (tmp_path / "ref.fa").write_text(">1\nACGT\n>2\nACGT\n>ring\nACGT\n")
    genome = Genome(tmp_path / "ref.fa", cache_dir=tmp_path / "cache", circular="ring")
    alignment = opened(
        block("ref.1 0 4 + 4 ACGT", "a.1 0 4 + 4 ACGT"), block("ref.2 0 4 + 4 ACGT", "a.1 0 4 + 4 TTTT"), genome=genome
    )
    found = score([("1", 2, "C", "T"), ("2", 2, "C", "T")], genome, ColumnFrequencies(alignment, pseudo=1))
    np.testing.assert_allclose(found["llr"], [-np.log(2), np.log(2)], atol=1e-6)


def test_a_circle_is_gone_round(opened, tmp_path) -> None:
    (tmp_path / "ref.fa").write_text(">ring\nACGT\n")
    genome = Genome(tmp_path / "ref.fa", cache_dir=tmp_path / "cache", circular="all")
    alignment = opened(block("ref.ring 0 4 + 4 ACGT", "a.1 0 4 + 4 AAAA"), genome=genome)
    table = rb.tl.saturation_mutagenesis(("ring", 2, 6), genome, ColumnFrequencies(alignment, pseudo=1))
    assert table["pos"].tolist() == [3, 4, 1, 2]
    np.testing.assert_allclose(table["logp_A"], np.log(2 / 5), atol=1e-6)


def test_saturation_is_the_columns(genome, alignment, model) -> None:
    table = rb.tl.saturation_mutagenesis("chr1:1-20", genome, model)
    shares = alignment.frequencies("chr1", 0, 20, pseudo=HALF)
    np.testing.assert_allclose(table[[f"logp_{base}" for base in "ACGT"]], np.log(shares), atol=1e-6)
    assert table.attrs["model"] == model.checksum()
    together = rb.tl.saturation_mutagenesis("chr1:1-20", genome, model, context=8, stride=8, hidden_at_once=4)
    pd.testing.assert_frame_equal(together, table)  # nothing is hidden from a model that reads no window


def test_files_go_on_only_with_the_same_columns(genome, alignment, model, tmp_path) -> None:
    (tmp_path / "in.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t4\t.\tC\tT\t.\t.\t.\n"
    )
    out = rb.tl.score_variants(
        tmp_path / "in.vcf", genome, model, out=tmp_path / "out.vcf", prefix="CONS", embedding_distance=False, progress_bar=False
    )
    assert "CONS_LLR=1.609" in out.read_text()
    sums = {ColumnFrequencies(alignment, pseudo=pseudo).checksum() for pseudo in (0.5, 1)}
    assert len(sums) == 2
    assert model.checksum() in sums


def test_positions_in_any_order_and_off_the_contig(alignment) -> None:
    positions = np.array([7, -1, 3, 3, 20, 0])
    found = alignment.frequencies_at("1", positions)
    whole = alignment.frequencies("1", 0, 20)
    assert np.array_equal(found[[0, 2, 3, 5]], whole[[7, 3, 3, 0]])
    assert np.array_equal(found[[1, 4]], np.full((2, 4), 0.25, np.float32))


def test_a_contig_without_columns_is_told_once(opened, genome) -> None:
    model = ColumnFrequencies(opened(block("ref.1 0 4 + 20 AACC", "a.1 0 4 + 9 AACC")))
    with pytest.warns(UserWarning, match="Nothing is aligned to the contig 'chr2'.*Known are 1") as warned:
        found = score([("2", 2, "C", "T"), ("1", 3, "C", "T"), ("2", 3, "G", "T"), ("2", 1, "AC", "A")], genome, model)
    assert len(warned) == 1
    assert found["llr"].iloc[[0, 2, 3]].tolist() == [0, 0, 0]
    assert found["llr"].iloc[1] < 0


def test_what_cannot_be(genome, alignment, model) -> None:
    with pytest.raises(ConfigError, match="needed is a finite number above 0"):
        ColumnFrequencies(alignment, pseudo=0)
    with pytest.raises(SetupError, match="or embedding_distance=False"):
        rb.tl.score_variants(pd.DataFrame({"chrom": ["1"], "pos": [4], "ref": ["C"], "alt": ["T"]}), genome, model)
