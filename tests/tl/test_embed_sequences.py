"""``tl.embed_sequences`` and ``tl.embed_regions``: tiles, means and slots, by models whose states
can be worked out by hand.
"""

from __future__ import annotations

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import r2mae_bio as rb
from r2mae_bio._errors import BedError, ConfigError, FastaError, RegionError, SetupError, UnknownContigError
from r2mae_bio.dna.model import _mean_states
from r2mae_bio.dna.model._tiles import plan_tiles
from r2mae_bio.io import Genome, decode_bases, encode_bases, reverse_complement


class Reader:
    """Reads rows by a function of (codes); the other strand as the real model does."""

    def __init__(self, function, window):
        self.function, self.window = function, window
        self.n_dim = function(np.zeros((1, 1), np.int64)).shape[2]
        self.shapes, self.layers = [], []

    def checksum(self):
        return "c0ffee"

    def states(self, codes, *, layer=-1, strand="both", batch_size=None):
        codes = np.asarray(codes, np.uint8)
        assert codes.shape[1] <= self.window
        self.shapes.append(codes.shape)
        self.layers.append(layer)
        forward = self.function(codes.astype(np.int64))
        if strand == "both":
            forward = (forward + self.function(reverse_complement(codes).astype(np.int64))[:, ::-1]) / 2
        return forward.astype(np.float32)


def composition(codes):
    """One-hot: the mean is the composition."""
    return np.eye(5)[codes][..., :4]


def neighbourhood(codes, reach=3):
    """Weighted codes from ``reach`` before a base to ``reach`` after it; no state depends on
    anything farther.
    """
    padded = np.pad(codes, ((0, 0), (reach, reach)), constant_values=7)
    parts = [padded[:, i : i + codes.shape[1]] * (i + 1) ** 1.5 for i in range(2 * reach + 1)]
    return np.stack([sum(parts), np.sin(sum(parts))], axis=2) / 50


def whole_row(codes):
    """States that depend on the place in the row and on all of it."""
    place = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    return np.stack([np.sin(place), np.cos(codes.sum(axis=1, keepdims=True) + place * codes)], axis=2)


def random_text(length, seed=0, unknown=0.05):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, length).astype(np.uint8)
    codes[rng.random(length) < unknown] = 4
    return decode_bases(codes)


LENGTHS = [1, 2, 7, 16, 17, 18, 31, 32, 33, 50, 64, 65, 101, 16, 50]
TEXTS = ["A" + random_text(n - 1, n) for n in LENGTHS]


# ---------------------------------------------------------------- tiles


@given(length=st.integers(1, 300), window=st.integers(1, 40), data=st.data())
def test_tiles_cover_a_sequence_evenly_and_each_base_counts_once(length, window, data):
    overlap = data.draw(st.integers(0, window - 1))
    both = plan_tiles([3, length], window, overlap)
    tiles = both.take(np.flatnonzero(both.sequence == 1))
    size = min(window, length)
    assert (tiles.length == size).all()
    assert (tiles.start[0], tiles.start[-1]) == (0, length - size)
    steps = np.diff(tiles.start)
    assert ((steps >= 1) & (steps <= window - overlap)).all()
    np.testing.assert_array_equal(tiles.start, (length - size) - tiles.start[::-1])
    counted = np.zeros(length)
    for start, share in zip(tiles.start, tiles.shares(), strict=True):
        counted[start : start + size] += share
    np.testing.assert_array_equal(counted, np.ones(length))
    assert np.isin(tiles.shares(), [0, 0.5, 1]).all()


def naive_embedding(text, model, overlap, strand):
    """Each base looks for the tiles whose middle is nearest."""
    codes, window = encode_bases(text), model.window
    tiles = plan_tiles([codes.size], window, overlap)
    total, n = np.zeros(model.n_dim), 0
    for place in np.flatnonzero(codes < 4):
        off = {s: abs(place - (s + (window - 1) / 2)) for s in tiles.start.tolist() if s <= place < s + window}
        best = [s for s, distance in off.items() if distance == min(off.values())]
        states = [model.states(codes[None, s : s + window], strand=strand)[0, place - s] for s in best]
        total, n = total + np.mean(states, axis=0), n + 1
    return total / n


@pytest.mark.parametrize("overlap", [0, 1, 4, 9, 15])
@pytest.mark.parametrize("strand", ["both", "+"])
def test_each_base_comes_from_the_tile_in_which_it_is_most_central(overlap, strand):
    model = Reader(whole_row, 16)
    texts = [text for text in TEXTS if len(text) > 16]
    found = rb.tl.embed_sequences(texts, model, overlap=overlap, strand=strand).obsm["X_r2mae"]
    expected = [naive_embedding(text, model, overlap, strand) for text in texts]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tiles_do_not_show_where_states_depend_on_near_bases_alone():
    """With a reach of 3 bases and 8 or more shared, no base counts whose surroundings were cut."""
    whole = rb.tl.embed_sequences(TEXTS, Reader(neighbourhood, 1000))
    tiled = rb.tl.embed_sequences(TEXTS, Reader(neighbourhood, 16), overlap=8)
    np.testing.assert_allclose(tiled.obsm["X_r2mae"], whole.obsm["X_r2mae"], atol=1e-5)


def test_the_default_overlap_is_a_quarter():
    model = Reader(whole_row, 16)
    default, quarter, other = (rb.tl.embed_sequences(TEXTS, model, overlap=o).obsm["X_r2mae"] for o in (None, 4, 12))
    np.testing.assert_array_equal(default, quarter)
    assert np.abs(default - other).max() > 1e-3


# ---------------------------------------------------------------- means


def test_the_mean_is_over_known_bases_only():
    model = Reader(composition, 8)
    found = rb.tl.embed_sequences(["AACGN", "nnnT"], model, strand="+")
    np.testing.assert_allclose(found.obsm["X_r2mae"], [[0.5, 0.25, 0.25, 0], [0, 0, 0, 1]])
    both = rb.tl.embed_sequences(["AACGN"], model)
    np.testing.assert_allclose(both.obsm["X_r2mae"], [[0.25, 0.25, 0.25, 0.25]])
    assert found.obs["length"].tolist() == [5, 4]
    assert found.obs["n_valid"].tolist() == [4, 1]
    assert found.obs.dtypes.tolist() == [np.int64, np.int64]


def test_known_bases_are_counted_once_in_long_sequences():
    found = rb.tl.embed_sequences(TEXTS, Reader(composition, 16), strand="+", overlap=11)
    known = [[text.count(base) for base in "ACGT"] for text in TEXTS]
    assert found.obs["n_valid"].tolist() == np.sum(known, axis=1).tolist()
    np.testing.assert_allclose(found.obsm["X_r2mae"], known / np.sum(known, axis=1, keepdims=True), atol=1e-6)


def test_a_sequence_and_its_reverse_complement_are_one_with_both_strands():
    model = Reader(whole_row, 16)
    other = [reverse_complement(text) for text in TEXTS]
    for overlap in (0, 3, 5):
        here, there = (rb.tl.embed_sequences(t, model, overlap=overlap).obsm["X_r2mae"] for t in (TEXTS, other))
        np.testing.assert_allclose(here, there, atol=1e-5)
    here, there = (rb.tl.embed_sequences(t, model, strand="+").obsm["X_r2mae"] for t in (TEXTS, other))
    assert np.abs(here - there).max() > 0.01


def test_neither_company_nor_order_nor_batches_matter(monkeypatch):
    model = Reader(whole_row, 16)
    together = rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"]
    assert max(shape[0] for shape in model.shapes) > 10
    alone = np.concatenate([rb.tl.embed_sequences([text], model).obsm["X_r2mae"] for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = rb.tl.embed_sequences([TEXTS[i] for i in order], model).obsm["X_r2mae"]
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    monkeypatch.setattr(_mean_states, "_STATES_AT_ONCE", 70)
    model.shapes.clear()
    np.testing.assert_allclose(rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"], together, atol=1e-5)
    assert max(rows * length * model.n_dim for rows, length in model.shapes) <= 70


def test_a_sequence_without_known_bases_is_nan_and_said_so():
    model = Reader(composition, 4)
    with pytest.warns(UserWarning, match=r"2 of 3 sequences hold no A, C, G or T.*: sequence_1, sequence_2"):
        found = rb.tl.embed_sequences(["ACGT", "N", "NNNNNRNNN"], model)
    assert np.isnan(found.obsm["X_r2mae"]).all(axis=1).tolist() == [False, True, True]
    assert found.obs["n_valid"].tolist() == [4, 0, 0]


# ---------------------------------------------------------------- slots and input


def test_names_slots_and_provenance_survive_h5ad(tmp_path):
    model = Reader(composition, 8)
    series = pd.Series(["ACGT", "GGGG"], index=["one", "two"])
    found = rb.tl.embed_sequences(series, model, layer=2, strand="+", key_added="X_mine")
    assert found.obs_names.tolist() == ["one", "two"]
    assert found.shape == (2, 0)
    assert found.obsm["X_mine"].dtype == np.float32
    assert set(model.layers) == {2}
    found.write_h5ad(tmp_path / "embedded.h5ad")
    back = ad.read_h5ad(tmp_path / "embedded.h5ad")
    np.testing.assert_array_equal(back.obsm["X_mine"], found.obsm["X_mine"])
    record = back.uns["r2mae"]["embed"]["X_mine"]
    expected = {"model": "Reader", "model_checksum": "c0ffee", "layer": 2, "strand": "+", "window": 8, "overlap": 2}
    assert expected.items() <= record.items()


def test_fasta_and_list_agree(tmp_path):
    path = tmp_path / "sequences.fa.gz"
    path.write_bytes(gzip.compress("".join(f">s{i} text\n{text}\n" for i, text in enumerate(TEXTS)).encode()))
    model = Reader(whole_row, 16)
    found = rb.tl.embed_sequences(path, model)
    assert found.obs_names.tolist() == [f"s{i}" for i in range(len(TEXTS))]
    np.testing.assert_array_equal(found.obsm["X_r2mae"], rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"])


def test_what_cannot_be_used_is_refused():
    model = Reader(composition, 8)
    with pytest.raises(FastaError, match="at least one base"):
        rb.tl.embed_sequences(["ACGT", ""], model)
    with pytest.raises(ConfigError, match=r"strand='-' is not known"):
        rb.tl.embed_sequences(["ACGT"], model, strand="-")
    for overlap in (-1, 8, 2.5, True):
        with pytest.raises(ConfigError, match=r"overlap=.*from 0 to 7"):
            rb.tl.embed_sequences(["ACGT"], model, overlap=overlap)
    with pytest.raises(SetupError, match=r"a object, which has no method states\(\)"):
        rb.tl.embed_sequences(["ACGT"], object())


# ---------------------------------------------------------------- regions

CHR1, RING = random_text(150, 3), random_text(60, 4)


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


# ---------------------------------------------------------------- the real model


def test_the_laws_hold_for_a_transformer(genome):
    """Weights are random: order, company, strand and the way in do not matter to any of them."""
    model = rb.model.DNAMAE(genome, window=32, preset="tiny", seed=0)
    model.initialize()
    texts = [text for text in TEXTS if len(text) > 2]
    together = rb.tl.embed_sequences(texts, model).obsm["X_r2mae"]
    assert np.abs(np.diff(together, axis=0)).max(axis=1).min() > 1e-3
    alone = np.concatenate([rb.tl.embed_sequences([text], model).obsm["X_r2mae"] for text in texts])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    others = rb.tl.embed_sequences([reverse_complement(text) for text in texts], model, batch_size=2).obsm["X_r2mae"]
    np.testing.assert_allclose(others, together, atol=1e-5)
    region = rb.tl.embed_regions([("chr1", 5, 105, "b", "-")], genome, model).obsm["X_r2mae"]
    np.testing.assert_allclose(region, rb.tl.embed_sequences([CHR1[5:105]], model).obsm["X_r2mae"], atol=1e-5)
