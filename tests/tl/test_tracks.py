"""Tracks: coordinates, order, compression, whole or not at all; shards, kills and merges."""

from __future__ import annotations

import builtins
import gzip
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, JournalError, SetupError
from r2mae_bio._lines import open_lines
from r2mae_bio.dna.scoring import _track
from r2mae_bio.dna.tracks._blocks import BLOCK
from r2mae_bio.io import Genome, decode_bases

from .toy_predictors import RING, TEXT, Counter


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n>ring\n{RING}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


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


def test_tabix_finds_the_rows_of_a_region(genome, tmp_path):
    pysam = pytest.importorskip("pysam", reason="pysam is the oracle here")
    tables = [rb.tl.saturation_mutagenesis(r, genome, Counter()) for r in (("ring", 2, 12), "chr1:2-20")]
    packed = rb.tl.to_bedgraph(pd.concat(tables), tmp_path / "a.bedgraph.gz")
    pysam.tabix_index(str(packed), preset="bed")
    with pysam.TabixFile(str(packed)) as file:
        assert file.contigs == ["chr1", "ring"]
        rows = [row for region in (("chr1", 4, 9), ("ring", 0, 100)) for row in file.fetch(*region)]
    expected = [("chr1", i, i + 1) for i in range(4, 9)] + [("ring", i, i + 1) for i in range(2, 12)]
    assert [row[:3] for row in parse("\n".join(rows))] == expected


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


@pytest.mark.parametrize("dtype", ["int64", "uint32", "float64", "Int64", "Float64"])
def test_whole_numbers_are_written_exactly(tmp_path, dtype):
    numbers = [0, 1234567, 123456789, 2**31]
    table = pd.DataFrame({"chrom": "1", "pos": [1.0, 2.0, 3.0, 4.0], "depth": pd.array(numbers, dtype)})
    text = rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph", column="depth").read_text()
    assert text == "".join(f"1\t{i}\t{i + 1}\t{number}\n" for i, number in enumerate(numbers))


def test_other_numbers_have_six_digits(tmp_path):
    table = pd.DataFrame({"chrom": "1", "pos": ["5", "6", "7"], "information": [1 / 3, -1e-9, 1e300]})
    assert [row.split("\t")[3] for row in rb.tl.to_bedgraph(table, tmp_path / "a").read_text().splitlines()] == [
        "0.333333",
        "-1e-09",
        "1e+300",
    ]


def test_bases_without_a_value_are_not_looked_at(tmp_path):
    table = pd.DataFrame({"chrom": ["1", None], "pos": [3, None], "information": pd.array([2.5, None], "Float64")})
    assert rb.tl.to_bedgraph(table, tmp_path / "a").read_text() == "1\t2\t3\t2.5\n"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pos", 1.5, r"Row 0 .* has 1.5 in the column pos; needed is a whole number"),
        ("pos", 0, "has the position 0; needed is one from 1 to"),
        ("pos", -3, "has -3 in the column pos"),
        ("pos", 2**31, "has the position 2147483648"),
        ("pos", None, "has None in the column pos"),
        ("chrom", None, "has None in the column chrom"),
        ("chrom", "chr 1", "needed is text without white space"),
        ("chrom", "", "has '' in the column chrom"),
        ("chrom", 1.0, "has 1.0 in the column chrom"),
    ],
)
def test_sites_that_are_none_are_named(tmp_path, column, value, message):
    table = pd.DataFrame({"chrom": ["1"], "pos": [1], "information": [1.0]}).assign(**{column: pd.Series([value], dtype=object)})
    with pytest.raises(DataError, match=message):
        rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")
    assert not list(tmp_path.iterdir())


def test_columns_of_one_name_are_refused(tmp_path):
    table = pd.DataFrame([["1", 1, 0.5, 0.7]], columns=["chrom", "pos", "information", "information"])
    with pytest.raises(DataError, match="several columns named 'information'"):
        rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")


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


# ---------------------------------------------------------------- saturation_track, merge_tracks


def random_text(n):
    return decode_bases(np.random.default_rng(0).integers(0, 4, n).astype(np.uint8))


@pytest.fixture
def long(tmp_path):
    """Contigs of several blocks, not in the order of their names, with N and lower case."""
    text = random_text(3 * BLOCK + 100)
    path = tmp_path / "long.fa"
    path.write_text(f">chr2\n{text[:1500].lower()}{text[1500:2000]}NNNRN{text[2000:]}\n>chr1\n{TEXT}\n>ring\n{RING}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


def track(genome, out, regions=None, model=None, **settings):
    return rb.tl.saturation_track(regions, genome, model or Counter(), out=out, **settings)


def shards(genome, folder, n, **settings):
    return [track(genome, folder / f"{i}.logp", shard=(i, n), **settings)[0] for i in range(1, n + 1)]


def whole_table(genome):
    """What the other verb says of all bases, those without a letter left out."""
    tables = [
        rb.tl.saturation_mutagenesis((c, 0, int(n)), genome, Counter())
        for c, n in zip(genome.contigs, genome.lengths, strict=True)
    ]
    table = pd.concat(tables).sort_values(["chrom", "pos"], ignore_index=True)
    return table[table["ref"].isin(list("ACGT"))]


def expected_values(table):
    llr = table[[f"llr_{b}" for b in "ACGT"]].to_numpy()
    others = np.where(table["ref"].to_numpy()[:, None] == np.array(list("ACGT")), -np.inf, llr)
    added = {"llr_max": others.max(axis=1), "entropy_bits": table["entropy"] / np.log(2)}
    return table.assign(**added)


def test_tracks_hold_the_numbers_of_saturation_mutagenesis(long, tmp_path):
    expected = expected_values(whole_table(long))
    for name in _track.VALUES:
        (path,) = track(long, tmp_path / f"{name}.bedgraph", value=name)
        oracle = rb.tl.to_bedgraph(expected, tmp_path / "oracle.bedgraph", column=name)
        assert path.read_bytes() == oracle.read_bytes(), name
    assert not list(tmp_path.glob("*.part*"))
    assert not list(tmp_path.glob(".*"))


def test_bigwig_holds_the_same_and_is_read_by_others(long, tmp_path):
    pybigtools = pytest.importorskip("pybigtools", reason="writes bigWig")
    expected = expected_values(whole_table(long))
    paths = track(long, tmp_path / "scores.bw")
    assert [path.name for path in paths] == [f"scores.{name}.bw" for name in _track.TRACKS]
    for name, path in zip(_track.TRACKS, paths, strict=True):
        with pybigtools.open(str(path)) as file:
            found = [(chrom, *row) for chrom in sorted(file.chroms()) for row in file.records(chrom)]
        assert [row[0] for row in found] == expected["chrom"].tolist()
        assert [row[1] for row in found] == [row[2] - 1 for row in found] == (expected["pos"] - 1).tolist()
        np.testing.assert_array_equal(np.float32([row[3] for row in found]), expected[name].to_numpy(np.float32))


def test_pybigwig_reads_what_pybigtools_wrote(long, tmp_path):
    reader = pytest.importorskip("pyBigWig", reason="pyBigWig is the oracle here")
    (path,) = track(long, tmp_path / "e.bigwig", value="entropy_bits")
    expected = expected_values(whole_table(long))
    with reader.open(str(path)) as file:
        assert file.chroms() == dict(zip(long.contigs, long.lengths.tolist(), strict=True))
        rows = [(chrom, *row) for chrom in sorted(file.chroms()) for row in file.intervals(chrom)]
    assert [(row[0], row[2]) for row in rows] == list(zip(expected["chrom"], expected["pos"], strict=True))
    np.testing.assert_array_equal(np.float32([row[3] for row in rows]), expected["entropy_bits"].to_numpy(np.float32))


def test_regions_are_predicted_once_and_in_order(long, tmp_path):
    regions = [("chr2", 2500, 2600), ("ring", 9, 15), ("chr2", 2550, 2610), ("1", 3, 5)]
    (path,) = track(long, tmp_path / "a.bg.gz", regions, value="information")
    table = whole_table(long)
    inside = (table["chrom"] == "chr2") & table["pos"].between(2501, 2610)
    inside |= (table["chrom"] == "ring") & (table["pos"].between(10, 12) | table["pos"].between(1, 3))
    inside |= (table["chrom"] == "chr1") & table["pos"].between(4, 5)
    oracle = rb.tl.to_bedgraph(table[inside], tmp_path / "oracle.bg")
    assert gzip.decompress(path.read_bytes()) == oracle.read_bytes()


def test_soft_masked_bases_may_be_left_out(long, tmp_path):
    (path,) = track(long, tmp_path / "a.bedgraph", value="entropy", soft_masked=False)
    letters = {c: long.fetch(c) for c in long.contigs}
    found = parse(path.read_text())
    assert all(letters[chrom][start] in "ACGT" for chrom, start, _, _ in found)
    assert len(found) == sum(letter in "ACGT" for text in letters.values() for letter in text)


def test_bases_that_share_a_window_are_hidden_alone_in_it(long, tmp_path):
    (path,) = track(long, tmp_path / "a.bedgraph", [("chr2", 2990, 3020)], value="logp_A", stride=4, strand="+")
    found = [value for *_, value in parse(path.read_text())]
    model, text = Counter(), long.fetch("chr2").upper()
    for place, value in zip(range(2990, 3020), found, strict=True):
        start = place // 4 * 4 + 2 - model.window // 2  # the middle of four neighbours in the middle of the window
        around = (text[start:place] + text[place + 1 : start + model.window]).upper()
        weights = np.array([1 + around.count(base) for base in "ACGT"])
        np.testing.assert_allclose(value, np.log(weights[0] / weights.sum()), rtol=1e-5)
    counted = Counter()
    track(long, tmp_path / "b.logp", [("chr2", 2990, 3020)], model=counted, stride=4)
    assert sum(counted.n_rows) == 30  # a reading for each base: this model answers one question at a time


def test_bases_hidden_together_do_not_depend_on_blocks_shards_or_regions(long, tmp_path):
    """A comb goes across the ends of blocks, since it is counted from the start of the contig."""
    settings = {"stride": 9, "hidden_at_once": 4, "value": "logp_A"}
    asked = {**settings, "value": None}
    parts = [track(long, tmp_path / f"{i}.logp", model=Counter(at_once=4), shard=(i, 3), **asked)[0] for i in (1, 2, 3)]
    (merged,) = rb.tl.merge_tracks(parts, tmp_path / "merged.bg", value="logp_A")
    counted = Counter(at_once=4)
    (whole,) = track(long, tmp_path / "whole.bg", model=counted, **settings)
    assert merged.read_bytes() == whole.read_bytes()
    assert sum(counted.n_rows) < len(long) / 9 * 3 + 3 * 10  # three readings of a window, some of it in two blocks
    near = [("chr2", BLOCK - 5, BLOCK + 4), ("chr1", 3, 4)]
    (some,) = track(long, tmp_path / "some.bg", near, model=Counter(at_once=4), **settings)
    lines = set(whole.read_text().splitlines())
    assert len(some.read_text().splitlines()) == 10
    assert lines.issuperset(some.read_text().splitlines())


@pytest.mark.parametrize("form", ["bw", "bedgraph.gz"])
@pytest.mark.parametrize("n", [1, 3, 20])
def test_merged_shards_equal_the_whole_bit_for_bit(long, tmp_path, form, n):
    if form == "bw":
        pytest.importorskip("pybigtools", reason="writes bigWig")
    parts = shards(long, tmp_path / "parts", n)
    merged = rb.tl.merge_tracks(parts[::-1], tmp_path / "merged" / f"a.{form}")
    at_once = track(long, tmp_path / f"a.{form}")
    assert [path.name for path in merged] == [path.name for path in at_once]
    assert [path.read_bytes() for path in merged] == [path.read_bytes() for path in at_once]
    folder = rb.tl.merge_tracks(tmp_path / "parts", tmp_path / "merged" / "b.bg", value="llr_max")
    assert folder[0].read_bytes() == track(long, tmp_path / "b.bg", value="llr_max")[0].read_bytes()


@pytest.mark.parametrize("settings", [{}, {"stride": 12, "hidden_at_once": 5}])
def test_a_network_gives_the_same_bytes_in_shards(tmp_path, settings):
    path = tmp_path / "genome.fa"
    path.write_text(f">c\n{random_text(2 * BLOCK + 50)}\n")
    genome = Genome(path, cache_dir=tmp_path)
    model = rb.model.DNAMAE(genome, window=32, n_layers=2, d_model=16)
    model.train(max_epochs=1, epoch_windows=32, progress_bar=False)
    parts = shards(genome, tmp_path, 2, model=model, **settings)
    (merged,) = rb.tl.merge_tracks(parts, tmp_path / "merged.bg", value="llr_max")
    (whole,) = track(genome, tmp_path / "whole.bg", model=model, value="llr_max", **settings)
    assert merged.read_bytes() == whole.read_bytes()
    table = expected_values(rb.tl.saturation_mutagenesis(("c", 0, len(genome)), genome, model, **settings))
    np.testing.assert_allclose([row[3] for row in parse(whole.read_text())], table["llr_max"], rtol=1e-4, atol=1e-5)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import r2mae_bio as rb
from r2mae_bio.dna.scoring import _track
from toy_predictors import Counter

class Killed(Counter):
    def log_probs(self, *args, **kwargs):
        if len(self.n_rows) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().log_probs(*args, **kwargs)

_track._COMMIT_SECONDS = 0
genome = rb.io.Genome(sys.argv[2], cache_dir=sys.argv[3], circular=["ring"])
rb.tl.saturation_track(None, genome, Killed(), out=sys.argv[4], shard=sys.argv[5] or None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize(("name", "shard"), [("a.bg", ""), ("a.logp", "1/1")])
def test_killed_and_resumed_equals_uninterrupted(long, tmp_path, name, shard):
    out = tmp_path / "killed" / name
    words = [Path(__file__).parent, tmp_path / "long.fa", tmp_path / "cache", out, shard]
    child = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], check=False, timeout=100)
    assert child.returncode == -signal.SIGKILL
    assert [path.name for path in out.parent.iterdir() if not path.name.startswith(f"{name}.part")] == []
    with out.with_name(f"{name}.part").open("ab") as stream:
        stream.write(b"half of a block")
    model = Counter()
    resumed = track(long, out, model=model, shard=shard or None)
    assert 0 < sum(model.n_rows) < len(long) - 2 * BLOCK  # the first blocks were not predicted again
    expected = track(long, tmp_path / name, shard=shard or None)
    assert [path.read_bytes() for path in resumed] == [path.read_bytes() for path in expected]
    assert sorted(out.parent.iterdir()) == sorted(resumed)


def test_a_run_killed_while_it_wrote_tracks_goes_on(long, tmp_path, monkeypatch):
    def fail(path, *args):
        if path.name == "a.llr_C.bg":
            raise KeyboardInterrupt
        write(path, *args)

    write = _track.write_track
    with monkeypatch.context() as patch:
        patch.setattr(_track, "write_track", fail)
        with pytest.raises(KeyboardInterrupt):
            track(long, tmp_path / "out" / "a.bg")
    model = Counter()
    resumed = track(long, tmp_path / "out" / "a.bg", model=model)
    assert model.n_rows == []
    assert [p.read_bytes() for p in resumed] == [p.read_bytes() for p in track(long, tmp_path / "a.bg")]
    with pytest.raises(ConfigError, match="exists already"):
        track(long, tmp_path / "out" / "a.bg")
    track(long, tmp_path / "out" / "a.bg", overwrite=True)


def test_an_unfinished_run_of_other_settings_is_not_gone_on_with(long, tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_track, "write_track", fail)
        with pytest.raises(KeyboardInterrupt):
            track(long, tmp_path / "a.bg")
    with pytest.raises(JournalError, match="differs in .*context.* Begin anew with resume=False, or remove"):
        track(long, tmp_path / "a.bg", context=5)
    for settings in ({"stride": 4}, {"stride": 4, "hidden_at_once": 2}):
        with pytest.raises(JournalError, match="differs in .*stride"):
            track(long, tmp_path / "a.bg", **settings)
    track(long, tmp_path / "a.bg", context=5, resume=False)


def test_an_unfinished_run_with_other_bases_hidden_together_is_begun_anew_or_refused(long, tmp_path):
    class Stopped(Counter):
        def log_probs(self, *args, **kwargs):
            if self.n_rows:
                raise KeyboardInterrupt
            return super().log_probs(*args, **kwargs)

    settings = {"stride": 8, "value": "logp_A"}
    with pytest.raises(KeyboardInterrupt):
        track(long, tmp_path / "a.bg", model=Stopped(at_once=4), hidden_at_once=4, **settings)
    assert (tmp_path / "a.bg.part").exists()
    with pytest.raises(JournalError, match="differs in .*hidden_at_once"):
        track(long, tmp_path / "a.bg", hidden_at_once=1, **settings)
    (anew,) = track(long, tmp_path / "a.bg", hidden_at_once=1, resume=False, **settings)
    assert anew.read_bytes() == track(long, tmp_path / "b.bg", **settings)[0].read_bytes()


def test_parts_that_do_not_make_a_whole_are_refused(long, tmp_path):
    parts, halves = shards(long, tmp_path / "three", 3), shards(long, tmp_path / "two", 2)
    other = track(long, tmp_path / "other.logp", shard="2/3", context=5)[0]
    combed = track(long, tmp_path / "combed.logp", model=Counter(at_once=3), shard="2/3", stride=9, hidden_at_once=3)[0]
    elsewhere = track(long, tmp_path / "elsewhere.logp", [("chr2", 0, 2000)], shard="2/3")[0]
    cut = tmp_path / "cut.logp"
    cut.write_bytes(parts[1].read_bytes()[:-20])
    damaged = tmp_path / "damaged.logp"
    data = bytearray(parts[1].read_bytes())
    data[-100] ^= 1
    damaged.write_bytes(data)
    for wrong, match in (
        ([parts[0], parts[2]], r"are in none of the parts: chr2:[\d,]+-[\d,]+. Missing are the shards 2/3\. Run them"),
        ([parts[0]], r"Missing are the shards 2/3, 3/3"),
        ([*parts, parts[1]], "2.logp and .*2.logp both hold chr2:"),
        ([*parts, halves[0]], "both hold chr2:"),
        ([halves[0], parts[2]], "are in none of the parts: chr2:[^M]*$"),
        ([parts[0], other, parts[2]], r"differ in context \(9 and 5\)"),
        ([parts[0], combed, parts[2]], r"differ in stride \(1 and 9\), hidden_at_once \(1 and 3\)"),
        ([parts[0], elsewhere, parts[2]], "differ in the regions"),
        ([parts[0], cut, parts[2]], "cut.logp is cut or damaged"),
        ([parts[0], damaged, parts[2]], "damaged.logp is cut or damaged"),
        ([tmp_path / "long.fa"], "holds no log-probabilities"),
        ([tmp_path / "none.logp"], "cannot be read"),
        ([], "no parts to merge"),
    ):
        with pytest.raises(DataError, match=match):
            rb.tl.merge_tracks(wrong, tmp_path / "merged.bg")
    assert not list(tmp_path.glob("*merged*"))


def test_what_cannot_be_written_is_refused_before_the_work(long, tmp_path, monkeypatch):
    model = Counter()
    for match, out, settings in (
        ("must end in one of", "a.wig", {}),
        ("a shard is written as .logp", "a.bg", {"shard": "1/2"}),
        ("counted from 1", "a.logp", {"shard": "0/2"}),
        ("counted from 1", "a.logp", {"shard": (3, 2)}),
        ("counted from 1", "a.logp", {"shard": "first"}),
        ("value is 'llr'; needed are some of llr_A", "a.bg", {"value": "llr"}),
        ("pass value= to tl.merge_tracks", "a.logp", {"value": "llr_A"}),
        ("stride=0", "a.bg", {"stride": 0}),
        ("stride=10", "a.bg", {"stride": 10}),
        ("hidden_at_once=2; needed is a whole number of bases from 1 to 1, the stride", "a.bg", {"hidden_at_once": 2}),
        ("hidden_at_once=9", "a.bg", {"stride": 8, "hidden_at_once": 9}),
        ("batch_size", "a.bg", {"batch_size": 0}),
    ):
        with pytest.raises(ConfigError, match=re.escape(match)):
            track(long, tmp_path / out, model=model, **settings)
    load = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pybigtools":
            raise ModuleNotFoundError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SetupError, match=r"pip install .r2mae_bio\[tracks\]"):
        track(long, tmp_path / "a.bw", model=model)
    assert model.n_rows == []
    assert not list(tmp_path.glob("a.*"))


def test_a_track_does_not_take_the_place_of_its_regions(long, tmp_path):
    model, contig = Counter(), long.contigs[0]
    for name, out, value in (("a.bedgraph", "a.bedgraph", "llr_A"), ("b.llr_C.bedgraph", "b.bedgraph", ["llr_A", "llr_C"])):
        regions = tmp_path / name
        regions.write_text(f"{contig}\t10\t20\tmine\n")
        with pytest.raises(ConfigError, match="is read and would be lost; name another out"):
            rb.tl.saturation_track(regions, long, model, out=tmp_path / out, value=value, overwrite=True)
        assert regions.read_text().endswith("mine\n")
    assert model.n_rows == []


def test_probabilities_of_zero_and_regions_without_letters_are_refused(long, tmp_path):
    class Sure(Counter):
        def log_probs(self, *args, **kwargs):
            return np.where(np.arange(4) == 2, 0, -np.inf) + 0 * super().log_probs(*args, **kwargs)

    with pytest.raises(DataError, match=r"the base chr2:1 the log-probabilities .* needed are finite"):
        track(long, tmp_path / "a.bg", model=Sure())
    unknown = [("chr2", 2000, 2003)]
    if rb.tl.saturation_track(unknown, long, Counter(), out=tmp_path / "n.bg", value="entropy")[0].read_bytes():
        pytest.fail("N has no value")
    pytest.importorskip("pybigtools", reason="writes bigWig")
    with pytest.raises(DataError, match="No base has a value"):
        track(long, tmp_path / "n.bw", unknown)


def test_what_pybigtools_does_not_say_is_found(long, tmp_path, monkeypatch):
    """An error in the values that it iterates leaves a file that ends there, and no message."""
    pytest.importorskip("pybigtools", reason="writes bigWig")

    def broken(whole, name):
        yield "chr1", 0, np.ones(5)
        message = "the disk is gone"
        raise OSError(message)

    monkeypatch.setattr(_track, "_pieces", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        track(long, tmp_path / "a.bw", value="entropy")
    monkeypatch.setattr(_track, "_pieces", lambda whole, name: [("chrZ", 0, np.ones(5))])
    with pytest.raises(DataError, match=r"pybigtools stopped after 1 bases of a\.bw"):
        track(long, tmp_path / "a.bw", value="entropy")
    assert not (tmp_path / "a.bw").exists()
