"""``tl.saturation_mutagenesis`` and ``tl.to_bedgraph``: every base alone, against models that can
be worked out by hand.
"""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, RegionError, SetupError, UnknownContigError
from r2mae_bio._lines import open_lines
from r2mae_bio.dna.scoring import _saturation
from r2mae_bio.io import Genome, reverse_complement

TEXT = "ACGTTGCAACGGTnACCATGRGTTTTACGA"
RING = "GGATCCTTAGCA"


class Counter:
    """Gives each base a weight of 1 and the number of times it is seen in the row; the other strand
    by its complement.
    """

    def __init__(self, window=9):
        self.window = window
        self.n_rows = []

    def checksum(self):
        return "c0ffee"

    def log_probs(self, codes, hidden=None, *, strand="both", batch_size=None):
        codes = np.asarray(codes)
        assert codes.shape[1] <= self.window
        assert (hidden.sum(axis=1) == 1).all()
        self.n_rows.append(len(codes))
        seen = (codes[..., None] == np.arange(4)) & ~hidden[..., None]
        weights = 1.0 + seen.sum(axis=1, keepdims=True)
        log_p = np.log(weights / weights.sum(axis=2, keepdims=True))
        if strand == "both":
            log_p = (log_p + np.log([0.1, 0.2, 0.3, 0.4])) / 2
            log_p -= np.log(np.exp(log_p).sum(axis=2, keepdims=True))
        return np.broadcast_to(log_p, (*codes.shape, 4)).astype(np.float32)


class Constant:
    """The same probabilities everywhere."""

    window = 5

    def __init__(self, p):
        self.log_p = np.log(np.maximum(p, 1e-30)).astype(np.float32)

    def checksum(self):
        return "c0ffee"

    def log_probs(self, codes, hidden=None, *, strand="both", batch_size=None):
        return np.broadcast_to(self.log_p, (*codes.shape, 4))


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n>ring\n{RING}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


def columns(table, kind):
    return table[[f"{kind}_{base}" for base in "ACGT"]].to_numpy()


def by_hand(text, place, before, after):
    """Probabilities from the letters around a place, each seen once more than it is."""
    around = text[max(place - before, 0) : place] + text[place + 1 : place + 1 + after]
    weights = np.array([1 + around.upper().count(base) for base in "ACGT"])
    return weights / weights.sum()


@pytest.mark.parametrize(("context", "before", "after"), [(None, 4, 4), (5, 2, 2), (4, 2, 1), (1, 0, 0)])
def test_each_base_is_predicted_from_its_surroundings_alone(genome, context, before, after):
    table = rb.tl.saturation_mutagenesis(("chr1", 0, len(TEXT)), genome, Counter(), context=context, strand="+")
    expected = [by_hand(TEXT, place, before, after) for place in range(len(TEXT))]
    np.testing.assert_allclose(np.exp(columns(table, "logp")), expected, rtol=1e-5)


def test_both_strands_are_read_unless_one_is_asked_for(genome):
    both, forward = (rb.tl.saturation_mutagenesis("chr1:1-30", genome, Counter(), **s) for s in ({}, {"strand": "+"}))
    expected = np.exp(columns(forward, "logp") / 2) * np.sqrt([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(np.exp(columns(both, "logp")), expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_window_goes_round_a_circle(genome):
    table = rb.tl.saturation_mutagenesis(("ring", 9, 15), genome, Counter(), strand="+")
    expected = [by_hand(3 * RING, len(RING) + place, 4, 4) for place in range(9, 15)]
    np.testing.assert_allclose(np.exp(columns(table, "logp")), expected, rtol=1e-5)
    assert table["pos"].tolist() == [10, 11, 12, 1, 2, 3]
    assert "".join(table["ref"]) == (RING + RING)[9:15]


def test_the_base_itself_decides_nothing_but_the_reference(tmp_path):
    """Another base at one place moves the predictions of its neighbours, not its own."""
    tables = []
    for i, base in enumerate("AC"):
        (tmp_path / f"{i}.fa").write_text(f">c\n{TEXT[:10]}{base}{TEXT[11:]}\n")
        genome = Genome(tmp_path / f"{i}.fa", cache_dir=tmp_path)
        tables.append(rb.tl.saturation_mutagenesis(("c", 8, 13), genome, Counter()))
    differs = np.abs(columns(tables[0], "logp") - columns(tables[1], "logp")).max(axis=1) > 1e-6
    assert differs.tolist() == [True, True, False, True, True]
    np.testing.assert_allclose(tables[0]["llr_C"].iloc[2], -tables[1]["llr_A"].iloc[2])


def test_text_counts_from_one_and_tuples_from_zero(genome):
    by_text = rb.tl.saturation_mutagenesis("chr1:3-1,2", genome, Counter())
    by_tuple = rb.tl.saturation_mutagenesis(("1", 2, 12), genome, Counter())
    pd.testing.assert_frame_equal(by_text, by_tuple)
    assert by_text["pos"].tolist() == list(range(3, 13))
    assert "".join(by_text["ref"]) == TEXT[2:12]
    assert by_text["chrom"].unique().tolist() == ["chr1"]
    assert by_text.attrs == {"region": "chr1:3-12", "model": "c0ffee", "context": 9, "strand": "both"}


def test_ratios_are_to_the_reference(genome):
    table = rb.tl.saturation_mutagenesis(("chr1", 0, len(TEXT)), genome, Counter())
    for _, row in table.iterrows():
        for base in "ACGT":
            expected = row[f"logp_{base}"] - row[f"logp_{row['ref']}"] if row["ref"] in "ACGT" else np.nan
            np.testing.assert_allclose(row[f"llr_{base}"], expected)
    unknown = table.loc[~table["ref"].isin(list("ACGT"))]
    assert unknown["ref"].tolist() == ["N", "R"]
    np.testing.assert_allclose(np.exp(columns(unknown, "logp")).sum(axis=1), 1, rtol=1e-5)
    assert unknown["information"].notna().all()


@pytest.mark.parametrize(
    ("p", "entropy", "information"),
    [
        ([0.25] * 4, np.log(4), 0),
        ([1, 0, 0, 0], 0, 2),
        ([0.5, 0.5, 0, 0], np.log(2), 1),
        ([0.5, 0.25, 0.125, 0.125], 1.75 * np.log(2), 0.25),
    ],
)
def test_entropy_in_nats_and_information_in_bits(genome, p, entropy, information):
    table = rb.tl.saturation_mutagenesis("chr1:1-3", genome, Constant(p))
    np.testing.assert_allclose(table["entropy"], entropy, atol=1e-6)
    np.testing.assert_allclose(table["information"], information, atol=1e-6)


def test_the_number_of_windows_at_once_does_not_matter(genome, monkeypatch):
    model = Counter()
    table = rb.tl.saturation_mutagenesis("chr1:1-30", genome, model)
    monkeypatch.setattr(_saturation, "_NUMBERS_AT_ONCE", 7 * 4 * 9)
    model.n_rows.clear()
    pd.testing.assert_frame_equal(rb.tl.saturation_mutagenesis("chr1:1-30", genome, model), table)
    assert model.n_rows == [7, 7, 7, 7, 2]


def test_the_other_strand_of_the_genome_gives_the_complement(genome, tmp_path):
    (tmp_path / "rc.fa").write_text(f">chr1\n{reverse_complement(TEXT)}\n")
    other = Genome(tmp_path / "rc.fa", cache_dir=tmp_path)
    here = rb.tl.saturation_mutagenesis(("chr1", 4, 20), genome, Counter(), strand="+")
    there = rb.tl.saturation_mutagenesis(("chr1", len(TEXT) - 20, len(TEXT) - 4), other, Counter(), strand="+")
    np.testing.assert_allclose(columns(here, "llr"), columns(there, "llr")[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize(
    "region", ["chr1", "chr1:5", "chr1:0-4", "chr1:9-4", ("chr1", 4, 4), ("chr1", -1, 4), ("chr1", 4), ("chr1", 1.5, 4), 7]
)
def test_a_region_that_cannot_be_read_is_refused(genome, region):
    with pytest.raises(RegionError, match=r"The region is .* needed is a text such as"):
        rb.tl.saturation_mutagenesis(region, genome, Counter())


def test_what_cannot_be_used_is_refused(genome):
    with pytest.raises(RegionError, match="does not lie on the contig 'chr1'"):
        rb.tl.saturation_mutagenesis("chr1:20-31", genome, Counter())
    with pytest.raises(UnknownContigError):
        rb.tl.saturation_mutagenesis("chr7:20-31", genome, Counter())
    for context in (0, 10, 3.0, True):
        with pytest.raises(ConfigError, match=r"context=.*from 1 to 9"):
            rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), context=context)
    with pytest.raises(ConfigError, match="strand='-'"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), strand="-")
    with pytest.raises(SetupError, match=r"no method log_probs\(\)"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, object())


# ---------------------------------------------------------------- bedGraph


def parse(text):
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("track")]
    return [(chrom, int(start), int(end), float(value)) for chrom, start, end, value in rows]


def test_a_bedgraph_holds_the_column_in_bed_coordinates(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:11-16", genome, Counter())
    path = rb.tl.to_bedgraph(table, tmp_path / "folder" / "i.bedgraph")
    found = parse(path.read_text())
    assert [row[:3] for row in found] == [("chr1", i, i + 1) for i in range(10, 16)]
    np.testing.assert_allclose([row[3] for row in found], table["information"], rtol=1e-5)
    assert [row[1] for row in parse(rb.tl.to_bedgraph(table, path, column="llr_A").read_text())] == [10, 11, 12, 14, 15]
    assert list(path.parent.iterdir()) == [path]


def test_a_bedgraph_is_sorted(genome, tmp_path):
    tables = [rb.tl.saturation_mutagenesis(r, genome, Counter()) for r in (("ring", 9, 15), "chr1:7-9", "chr1:2-4")]
    found = parse(rb.tl.to_bedgraph(pd.concat(tables), tmp_path / "all.bg").read_text())
    assert found == sorted(found)
    assert len(found) == 12


def test_gz_is_bgzip_of_the_same_text(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    plain, packed = (rb.tl.to_bedgraph(table, tmp_path / name, track="my track") for name in ("a.bedgraph", "a.bedgraph.gz"))
    assert gzip.decompress(packed.read_bytes()).decode() == plain.read_text()
    assert plain.read_text().startswith('track type=bedGraph name="my track"\nchr1\t1\t2\t')
    assert packed.read_bytes()[12:14] == b"BC"
    with open_lines(packed, DataError) as stream:  # refuses a bgzip file without its last block
        assert len(list(stream)) == 20


def test_a_bedgraph_is_written_whole_or_not_at_all(genome, tmp_path, monkeypatch):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    path = rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")
    before = path.read_bytes()

    def fail(stream):
        message = "no space left"
        raise OSError(message)

    monkeypatch.setattr("r2mae_bio._files.flush_to_disk", fail)
    with pytest.raises(OSError, match="no space left"):
        rb.tl.to_bedgraph(table, path, column="entropy")
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*a.bedgraph*")) == [path]


def test_a_table_that_is_no_track_is_refused(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    for error, match, wrong, settings in (
        (SetupError, r"missing are \['depth'\]", table, {"column": "depth"}),
        (DataError, "chr1:2 occurs more than once", pd.concat([table, table]), {}),
        (DataError, "needed are finite numbers", table, {"column": "ref"}),
        (DataError, "needed are finite numbers", table.assign(information=np.inf), {}),
        (DataError, "holds no value", table.assign(information=np.nan), {}),
        (ConfigError, "without quotation marks", table, {"track": 'a"b'}),
    ):
        with pytest.raises(error, match=match):
            rb.tl.to_bedgraph(wrong, tmp_path / "no.bedgraph", **settings)
    assert not list(tmp_path.glob("*no.bedgraph*"))
