"""``tl.saturation_mutagenesis``: every base alone, or several of a window, against models that are
known.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, RegionError, SetupError, UnknownContigError
from r2mae_bio.dna.scoring import _saturation
from r2mae_bio.dna.scoring._pseudo_likelihood import read_combs, read_windows
from r2mae_bio.io import Genome, encode_bases, reverse_complement

from .toy_predictors import RING, TEXT, Counter


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


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A model of our own, trained a little on other bases."""
    path = tmp_path_factory.mktemp("network") / "other.fa"
    path.write_text(f">other\n{TEXT * 20}\n")
    model = rb.model.DNAMAE(Genome(path, cache_dir=path.parent), window=16, n_layers=2, d_model=16)
    model.train(max_epochs=1, epoch_windows=32, progress_bar=False)
    return model


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
    settings = {"context": 9, "strand": "both", "stride": 1, "hidden_at_once": 1}
    assert by_text.attrs == {"region": "chr1:3-12", "model": "c0ffee", **settings}


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


# ---------------------------------------------------------------- several bases of a window


def comb(place, stride, at_once, context):
    """First base of the window of a place, and the places that are hidden along with it."""
    first = place // stride * stride
    spacing = math.ceil(stride / at_once)
    together = [other for other in range(first, first + stride) if (other - place) % spacing == 0]
    assert place in together
    assert len(together) <= at_once
    return first - (context // 2 - stride // 2), together


@pytest.mark.parametrize(("stride", "at_once"), [(8, 4), (8, 3), (7, 7), (10, 2), (6, 1)])
@pytest.mark.parametrize(("chrom", "text"), [("chr1", TEXT), ("ring", RING)])
def test_bases_hidden_together_are_hidden_by_hand(genome, network, chrom, text, stride, at_once):
    settings = {"context": 10, "stride": stride, "hidden_at_once": at_once}
    table = rb.tl.saturation_mutagenesis((chrom, 0, len(text)), genome, network, **settings)
    expected = []
    for place in range(len(text)):
        start, together = comb(place, stride, at_once, 10)
        places = np.arange(start, start + 10)
        letters = [text[i % len(text)] if chrom == "ring" or 0 <= i < len(text) else "N" for i in places]
        log_p = network.log_probs(encode_bases("".join(letters))[None], np.isin(places, together)[None])
        expected.append(log_p[0, place - start])
    np.testing.assert_allclose(columns(table, "logp"), expected, atol=2e-6)


def test_a_reading_for_each_comb_and_not_for_each_base(genome):
    n_rows = {}
    for at_once in (1, 2, 3, 8):
        model = Counter(at_once=at_once)
        rb.tl.saturation_mutagenesis(("chr1", 0, 24), genome, model, stride=8, hidden_at_once=at_once)
        n_rows[at_once] = sum(model.n_rows)
    assert n_rows == {1: 24, 2: 12, 3: 9, 8: 3}


def test_what_is_hidden_along_with_a_base_does_not_depend_on_what_is_asked(genome):
    settings = {"stride": 5, "hidden_at_once": 2, "strand": "+"}
    ask = functools.partial(rb.tl.saturation_mutagenesis, genome=genome, model=Counter(at_once=2), **settings)
    for chrom, size in (("chr1", len(TEXT)), ("ring", len(RING))):
        whole = ask((chrom, 0, size))
        for place in range(size):
            alone = ask((chrom, place, place + 1))
            pd.testing.assert_frame_equal(alone, whole.iloc[[place]].reset_index(drop=True))
    beyond = ask(("ring", 9, 15))
    pd.testing.assert_frame_equal(beyond, whole.iloc[[9, 10, 11, 0, 1, 2]].reset_index(drop=True))
    assert beyond.attrs["hidden_at_once"] == 2


def test_hidden_one_at_a_time_by_the_comb_equals_hidden_alone(network):
    """Two ways to the same numbers: single bases asked of windows, and a comb with one tooth."""
    windows = np.random.default_rng(0).integers(0, 4, (5, 16)).astype(np.uint8)
    rows, positions = np.repeat(np.arange(5), 16), np.tile(np.arange(16), 5)
    settings = {"hidden": (rows, positions), "strand": "both", "batch_size": None}
    one = read_combs(network, windows, asked=slice(None), spacing=16, **settings)
    np.testing.assert_allclose(one, read_windows(network, windows, **settings).log_probs, atol=2e-6)


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
    for stride in (0, 10, 2.0, True):
        with pytest.raises(ConfigError, match=rf"stride={stride!r}; .*from 1 to 9, the context"):
            rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), stride=stride)
    for at_once in (0, 5, 2.0, True, None):
        with pytest.raises(ConfigError, match=rf"hidden_at_once={at_once!r}; .*from 1 to 4, the stride.*Pass a wider"):
            rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), stride=4, hidden_at_once=at_once)
    with pytest.raises(ConfigError, match=r"hidden_at_once=2; .*from 1 to 1, the stride"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), hidden_at_once=2)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), batch_size=0)
    with pytest.raises(ConfigError, match="strand='-'"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, Counter(), strand="-")
    with pytest.raises(SetupError, match=r"no method log_probs\(\)"):
        rb.tl.saturation_mutagenesis("chr1:1-3", genome, object())
