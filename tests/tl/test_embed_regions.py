"""``tl.embed_regions``: sequences of their strand, slots, refusals that write nothing."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import BedError, ConfigError, RegionError, SetupError, UnknownContigError
from r2mae_bio.io import Genome, reverse_complement

from .toy_readers import CHR1, RING, Reader, composition, whole_row


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHR1}\n>ring\n{RING}\n>gap\n{'N' * 30}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


REGIONS = [
    ("chr1", 0, 10, "a", "+"),
    ("chr1", 5, 105, "b", "-"),
    ("1", 149, 150),
    ("ring", 50, 75, "r", "-"),
    ("ring", 40, 90, "r", "+"),
]


@pytest.mark.parametrize("strand", ["both", "+"])
def test_regions_are_the_sequences_of_their_strand(genome, strand):
    model = Reader(whole_row, 16)
    found = rb.tl.embed_regions(REGIONS, genome, model, strand=strand)
    double = RING + RING
    texts = [
        CHR1[:10],
        reverse_complement(CHR1[5:105]),
        CHR1[149:],
        reverse_complement(double[50:75]),
        double[40:90],
    ]
    expected = rb.tl.embed_sequences(texts, model, strand=strand)
    np.testing.assert_allclose(found.obsm["X_r2mae"], expected.obsm["X_r2mae"], atol=1e-5)
    assert found.obs["n_valid"].tolist() == expected.obs["n_valid"].tolist()
    assert found.obs["length"].tolist() == [10, 100, 1, 25, 50]
    assert found.obs["chrom"].tolist() == ["chr1", "chr1", "1", "ring", "ring"]
    assert found.obs["strand"].tolist() == ["+", "-", ".", "-", "+"]
    assert found.obs_names.tolist() == ["a", "b", "1:149-150", "r", "r-1"]


def test_with_both_strands_the_strand_of_a_region_does_not_matter(genome):
    table = rb.io.read_regions(REGIONS)
    flipped = table.assign(strand=["-", "+", "-", "+", "-"])
    for strand, same in (("both", True), ("+", False)):
        here, there = (
            rb.tl.embed_regions(t, genome, Reader(whole_row, 16), strand=strand).obsm["X_r2mae"] for t in (table, flipped)
        )
        assert np.allclose(here, there, atol=1e-5) is same


def test_regions_from_a_bed_file_survive_h5ad(genome, tmp_path):
    (tmp_path / "r.bed").write_text("chr1\t3\t40\tx\t0\t-\ngap\t3\t9\ty\n")
    with pytest.warns(UserWarning, match="1 of 2 regions hold no A, C, G or T, and their embedding is NaN: y"):
        found = rb.tl.embed_regions(tmp_path / "r.bed", genome, Reader(whole_row, 16))
    assert np.isnan(found.obsm["X_r2mae"]).all(axis=1).tolist() == [False, True]
    found.write_h5ad(tmp_path / "r.h5ad")
    record = ad.read_h5ad(tmp_path / "r.h5ad").uns["r2mae"]["embed"]["X_r2mae"]
    assert record["genome"] == "genome.fa"
    assert record["genome_fingerprint"] == genome.cache.name


PEAKS = [("chr1", 10, 60), ("ring", 0, 20), ("chr1", 0, 5)]


def peaks(names=None, **columns):
    var = pd.DataFrame(columns, index=names or [f"peak{i}" for i in range(3)])
    return ad.AnnData(np.ones((2, 3), np.float32), var=var)


@pytest.mark.parametrize(
    "adata",
    [
        peaks([f"{c}:{s}-{e}" for c, s, e in PEAKS]),
        peaks([f"{c}-{s}-{e}" for c, s, e in PEAKS]),
        peaks(chrom=pd.Categorical([c for c, _, _ in PEAKS]), start=[s for _, s, _ in PEAKS], end=[e for _, _, e in PEAKS]),
    ],
    ids=["chr:start-end", "chr-start-end", "columns"],
)
def test_peaks_get_varm(genome, adata):
    model = Reader(whole_row, 16)
    expected = rb.tl.embed_regions(PEAKS, genome, model).obsm["X_r2mae"]
    changed = rb.tl.embed_regions(None, genome, model, adata=adata, copy=True)
    assert "X_r2mae" not in adata.varm
    view = adata[:1]
    adata.uns["r2mae"] = {"embed": {"X_other": {"seed": 1}}}
    assert rb.tl.embed_regions(None, genome, model, adata=adata) is None
    assert rb.tl.embed_regions(PEAKS, genome, model, adata=view) is None
    for data in (adata, changed, view):
        np.testing.assert_array_equal(data.varm["X_r2mae"], expected)
        assert data.varm["X_r2mae"].dtype == np.float32
        assert data.uns["r2mae"]["embed"]["X_r2mae"]["model_checksum"] == "c0ffee"
    assert adata.uns["r2mae"]["embed"]["X_other"] == {"seed": 1}


def test_regions_that_cannot_be_used_are_refused_and_nothing_is_written(genome):
    model = Reader(composition, 16)
    with pytest.raises(
        RegionError, match=r"1 of 2 regions leave their contig, first b \(row 1\): it goes from 140 to 151, and chr1 has 150"
    ):
        rb.tl.embed_regions([("chr1", 0, 9), ("chr1", 140, 151, "b")], genome, model)
    for start, end in ((60, 70), (10, 71)):
        with pytest.raises(RegionError, match="ring has 60 bases"):
            rb.tl.embed_regions([("ring", start, end)], genome, model)
    with pytest.raises(UnknownContigError):
        rb.tl.embed_regions([("chr9", 0, 9)], genome, model)
    with pytest.raises(ConfigError, match="Neither regions nor adata"):
        rb.tl.embed_regions(None, genome, model)
    genes, far = peaks(), peaks(["chr1:0-151", "chr1:0-9", "chr1:0-8"])
    half = peaks(start=[1, 2, 3], end=[4, 5, 6])
    for error, match, adata, regions in (
        (SetupError, r"'peak0' names no region.*chr1:100-200", genes, None),
        (SetupError, r"2 regions and 3 variables", genes, PEAKS[:2]),
        (RegionError, r"chr1:0-151", far, None),
        (BedError, r"chrom", half, None),
    ):
        with pytest.raises(error, match=match):
            rb.tl.embed_regions(regions, genome, model, adata=adata)
        assert not adata.varm
        assert not adata.uns
