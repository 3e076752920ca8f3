"""A genome read at random equals slices of the sequences that Biopython parses."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from Bio import SeqIO
from Bio.Seq import Seq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import (
    AmbiguousContigError,
    ConfigError,
    DataError,
    DuplicateContigsError,
    FastaError,
    RegionError,
    SetupError,
    UnknownContigError,
)
from r2mae_bio.io import Genome, extract_loci

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = {"chr1": 211, "chr2": 64, "chrM": 30, "NC_000913.3": 5}


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    rng = np.random.default_rng(3)
    return {name: "".join(rng.choice(list("ACGTNRYacgtnry"), n)) for name, n in LENGTHS.items()}


@pytest.fixture(scope="module")
def fasta(truth: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "genome.fa"
    lines = [
        f">{name} made up\n" + "\n".join(bases[i : i + 13] for i in range(0, len(bases), 13)) for name, bases in truth.items()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def genome(fasta: Path) -> Genome:
    return Genome(fasta, cache_dir=fasta.parent / "cache")


@pytest.fixture(scope="module")
def circles(fasta: Path) -> Genome:
    return Genome(fasta, cache_dir=fasta.parent / "cache", circular=["MT", "NC_000913"])


def text(rows: np.ndarray) -> list[str]:
    return [row.tobytes().decode() for row in rows]


def as_read(bases: str, reverse: bool) -> str:
    return str(Seq(bases).reverse_complement()) if reverse else bases


# ---------------------------------------------------------------- what is known without reading


def test_names_and_lengths(genome, truth) -> None:
    assert genome.contigs == tuple(truth)
    assert genome.lengths.tolist() == [len(bases) for bases in truth.values()]
    assert genome.offsets.tolist() == np.concatenate([[0], np.cumsum(genome.lengths)[:-1]]).tolist()
    assert len(genome) == sum(map(len, truth.values()))
    assert {contig.description for contig in genome.index} == {"made up"}
    assert "1" in genome
    assert "chr9" not in genome
    assert 7 not in genome
    assert repr(genome) == "Genome(genome.fa: 310 bases, 4 contigs)"


def test_letters_are_counted(genome, truth) -> None:
    for contig, bases in zip(genome.index, truth.values(), strict=True):
        upper = bases.upper()
        assert contig.n_acgt == sum(upper.count(letter) for letter in "ACGT")
        assert contig.n_unknown == upper.count("N")
        assert contig.n_acgt + contig.n_unknown + contig.n_iupac == contig.length
        assert contig.n_soft_masked == sum(letter.islower() for letter in bases)


# ---------------------------------------------------------------- one region


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fetch_is_a_slice(genome, truth, data) -> None:
    name = data.draw(st.sampled_from(list(truth)))
    start = data.draw(st.integers(0, len(truth[name]) - 1))
    end = data.draw(st.integers(start + 1, len(truth[name])))
    assert genome.fetch(name, start, end) == truth[name][start:end]
    assert genome.fetch(name, start, end, strand="-") == as_read(truth[name][start:end], reverse=True)


def test_fetch_takes_whole_contigs_and_equivalent_names(genome, truth) -> None:
    assert genome.fetch("chr2") == truth["chr2"]
    assert genome.fetch("2", 60) == truth["chr2"][60:]
    assert genome.fetch("MT", np.int64(3), np.int64(9)) == truth["chrM"][3:9]


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (4, 3), (60, 65), (64, 65), (0, 0)])
def test_fetch_off_the_contig_is_refused(genome, start, end) -> None:
    with pytest.raises(
        RegionError, match=f"{start} to {end} does not lie on the contig 'chr2' of 64 bases; needed is 0 <= start < end"
    ):
        genome.fetch("chr2", start, end)


def test_fetch_refuses_other_misuse(genome) -> None:
    with pytest.raises(UnknownContigError, match="Did you mean 'chr.' or"):
        genome.fetch("chr3", 0, 1)
    with pytest.raises(ConfigError, match="strand='x'"):
        genome.fetch("chr1", 0, 1, strand="x")
    with pytest.raises(RegionError, match="open the genome with circular="):
        genome.fetch("chrM", 20, 40)


def test_circles_go_round(circles, truth) -> None:
    assert circles.is_circular.tolist() == [False, False, True, True]
    twice = truth["chrM"] * 2
    for start in range(30):
        for length in (1, 7, 30):
            assert circles.fetch("chrM", start, start + length) == twice[start : start + length]
            assert circles.fetch("chrM", start, start + length, strand="-") == as_read(twice[start : start + length], True)
    for start, end in [(30, 31), (0, 31), (5, 36), (-1, 3)]:
        with pytest.raises(RegionError, match="0 <= start < length and a region not longer than the circle"):
            circles.fetch("chrM", start, end)
    with pytest.raises(RegionError):
        circles.fetch("chr2", 60, 70)


def test_all_circular(fasta) -> None:
    assert Genome(fasta, cache_dir=fasta.parent / "cache", circular="all").is_circular.all()
    with pytest.raises(UnknownContigError):
        Genome(fasta, cache_dir=fasta.parent / "cache", circular="chr9")


# ---------------------------------------------------------------- many windows


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_windows_are_slices(genome, truth, data) -> None:
    """From global positions and from positions on contigs, on either strand."""
    length = data.draw(st.integers(1, 30))
    names = data.draw(st.lists(st.sampled_from([name for name in truth if len(truth[name]) >= length]), max_size=6))
    starts = np.array([data.draw(st.integers(0, len(truth[name]) - length)) for name in names], np.int32)
    reverse = np.array(data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names))), bool)
    contigs = np.array([genome.contig_index(name) for name in names], np.int64)
    expected = [as_read(truth[n][s : s + length], r) for n, s, r in zip(names, starts, reverse, strict=True)]
    on_contigs = genome.windows(starts, length, contigs=contigs, reverse=reverse)
    assert on_contigs.shape == (len(names), length)
    assert on_contigs.dtype == np.uint8
    assert text(on_contigs) == expected
    assert text(genome.windows(genome.offsets[contigs] + starts, length, reverse=reverse)) == expected


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_windows_beyond_the_ends(circles, truth, data) -> None:
    """A linear contig goes on in N, a circle goes round, and a window longer than a circle goes on
    in N as well.
    """
    length = data.draw(st.integers(1, 40))
    names = data.draw(st.lists(st.sampled_from(list(truth)), min_size=1, max_size=6))
    starts = [data.draw(st.integers(-60, 300)) for _ in names]
    contigs = [circles.contig_index(name) for name in names]

    def expected(name: str, start: int) -> str:
        bases, n = truth[name], len(truth[name])
        if name in ("chrM", "NC_000913.3") and length <= n:
            return "".join(bases[i % n] for i in range(start, start + length))
        return "".join(bases[i] if 0 <= i < n else "N" for i in range(start, start + length))

    rows = text(circles.windows(starts, length, contigs=contigs, outside="N"))
    assert rows == [expected(name, start) for name, start in zip(names, starts, strict=True)]


def test_windows_belong_to_the_caller(genome, truth) -> None:
    rows = genome.windows([0, 0, 5], 8, contigs=0)
    rows[:] = 0
    assert text(genome.windows([0], 8)) == [truth["chr1"][:8]]


@pytest.mark.parametrize(
    ("starts", "length", "options", "error", "match"),
    [
        ([0, 205], 10, {}, RegionError, "Window 1: 205 to 215 does not lie on the contig 'chr1' of 211"),
        ([0, -1], 10, {"contigs": 1}, RegionError, "Window 1: -1 to 9"),
        ([0], 65, {"contigs": 1}, RegionError, "0 to 65"),
        ([-1], 5, {}, RegionError, "global start is -1; needed are numbers from 0 to 309"),
        ([310], 1, {}, RegionError, "global start is 310"),
        ([0], 5, {"contigs": [4]}, RegionError, "contig number is 4"),
        ([0], 5, {"contigs": -1}, RegionError, "contig number is -1"),
        ([0.0], 5, {}, DataError, "starts has shape .* float64"),
        ([[0]], 5, {}, DataError, "starts has shape"),
        ([True], 5, {}, DataError, "bool"),
        ([0, 1], 5, {"contigs": [0]}, DataError, "contigs has shape"),
        ([0], 5, {"contigs": "chr1"}, DataError, "contigs has shape"),
        ([0], 0, {}, DataError, "length=0"),
        ([0], 5.0, {}, DataError, "length=5.0"),
        ([0], 5, {"outside": "pad"}, ConfigError, "outside='pad'"),
        ([0], 5, {"reverse": [1]}, DataError, "reverse has shape"),
        ([0], 5, {"reverse": [True, False]}, DataError, "reverse has shape"),
    ],
)
def test_windows_refuse_misuse(genome, starts, length, options, error, match) -> None:
    with pytest.raises(error, match=match):
        genome.windows(starts, length, **options)


def test_no_windows(genome) -> None:
    assert genome.windows([], 9).shape == (0, 9)
    assert genome.windows(np.empty(0, np.int64), 10**6, contigs=0).shape == (0, 10**6)


# ---------------------------------------------------------------- several files, several species


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_several_files_are_one_genome(tmp_path) -> None:
    one, two = write(tmp_path / "1.fa", ">a\nAC\n>b\nGG\n"), write(tmp_path / "2.fa", ">c\nTT\n")
    genome = Genome([one, two], cache_dir=tmp_path / "cache")
    assert genome.contigs == ("a", "b", "c")
    assert [contig.source for contig in genome.index] == [0, 0, 1]
    assert genome.sources == (one, two)
    assert text(genome.windows([0, 2, 4], 2)) == ["AC", "GG", "TT"]


def test_species_qualify_names(tmp_path) -> None:
    human, mouse = write(tmp_path / "h.fa", ">chr1\nAC\n>chr2\nGG\n"), write(tmp_path / "m.fa", ">chr1\nTT\n")
    genome = Genome({"human": human, "mouse": [mouse]}, cache_dir=tmp_path / "cache")
    assert genome.contigs == ("human:chr1", "human:chr2", "mouse:chr1")
    assert genome.species == ("human", "human", "mouse")
    assert [genome.fetch(name) for name in ("human:chr1", "mouse:1", "chr2")] == ["AC", "TT", "GG"]
    with pytest.raises(AmbiguousContigError, match="human:chr1, mouse:chr1"):
        genome.fetch("chr1")


def test_repeated_names_are_refused(tmp_path) -> None:
    one, two = write(tmp_path / "1.fa", ">a\nAC\n>b\nGG\n"), write(tmp_path / "2.fa", ">c\nTT\n\n>b\nTT\n")
    with pytest.raises(DuplicateContigsError, match=r"2\.fa, line 4: the name 'b' was given before, in .*1\.fa, line 3"):
        Genome([one, two], cache_dir=tmp_path / "cache")
    three = write(tmp_path / "3.fa", ">a\nAC\n>a more\nAC\n")
    with pytest.raises(DuplicateContigsError, match=r"line 3: the name 'a'.*line 1"):
        Genome({"x": three}, cache_dir=tmp_path / "cache")


def test_paths_that_cannot_be_used(tmp_path) -> None:
    with pytest.raises(FastaError, match=r"none\.fa does not exist"):
        Genome(tmp_path / "none.fa", cache_dir=tmp_path / "cache")
    with pytest.raises(FastaError, match="is not a file"):
        Genome(tmp_path, cache_dir=tmp_path / "cache")
    with pytest.raises(ConfigError, match="No path"):
        Genome([], cache_dir=tmp_path / "cache")
    fasta = write(tmp_path / "1.fa", ">a\nAC\n")
    for species in ("", "a:b", "a b", 7):
        with pytest.raises(ConfigError, match="cannot qualify contigs"):
            Genome({species: fasta}, cache_dir=tmp_path / "cache")


# ---------------------------------------------------------------- regions


def test_extract_loci_as_given_and_centred(genome, truth) -> None:
    regions = [("chr1", 10, 20, "+"), ("2", 5, 15, "-"), ("M", 0, 10, ".")]
    expected = [truth["chr1"][10:20], as_read(truth["chr2"][5:15], True), truth["chrM"][:10]]
    assert text(extract_loci(genome, regions)) == expected
    table = pd.DataFrame(regions, columns=["chrom", "start", "end", "strand"])
    assert text(extract_loci(genome, table)) == expected
    assert text(extract_loci(genome, table.rename(columns={"chrom": "contig"}).drop(columns="strand")))[1] == truth["chr2"][5:15]
    assert text(extract_loci(genome, [("chr1", 50, 60)], 20)) == [truth["chr1"][45:65]]
    assert text(extract_loci(genome, [("chr1", 50, 61)], 5)) == [truth["chr1"][53:58]]
    assert text(extract_loci(genome, [("chrM", 0, 4)], 8, outside="N")) == ["NN" + truth["chrM"][:6]]


def test_extract_loci_on_a_circle(circles, truth) -> None:
    assert text(extract_loci(circles, [("chrM", 0, 4)], 8)) == [truth["chrM"][-2:] + truth["chrM"][:6]]


@pytest.mark.parametrize(
    ("regions", "length", "error", "match"),
    [
        ([("chr1", 0, 5), ("chr1", 0, 6)], None, DataError, "2 different lengths, from 5 to 6 bases.*Pass length="),
        ([], None, DataError, "0 different lengths"),
        ([("chr1", 5, 5)], 4, RegionError, "Region 0 goes from 5 to 5"),
        ([("chr1", 0, 4), ("chrM", 40, 50)], 4, RegionError, "Region 1 goes from 40 to 50 on 'chrM' of 30"),
        ([("chrM", 0, 4)], 8, RegionError, "-2 to 6"),
        ([("chr1", 0)], 4, DataError, "three or four parts"),
        ([("chr1", 0.5, 4)], 4, DataError, "float64"),
        ([("chr1", 0, 4, "?")], 4, DataError, "'\\?'"),
        ([("chr9", 0, 4)], 4, UnknownContigError, "chr9"),
        (pd.DataFrame({"chrom": ["chr1"], "start": [0]}), 4, SetupError, "missing are \\['end'\\]"),
    ],
)
def test_extract_loci_refuses_misuse(genome, regions, length, error, match) -> None:
    with pytest.raises(error, match=match):
        extract_loci(genome, regions, length)


# ---------------------------------------------------------------- real genomes


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["ecoli_k12/genome.fa.gz", "mito_animals/genome.fa.gz", "human_small/hg38_chr22_32000000_32300000.fa.gz"]
)
def test_real_genomes_agree_with_biopython(shared_data, tmp_path, name) -> None:
    path = shared_data / "dna" / name
    with gzip.open(path, "rt") as handle:
        expected = {record.id: str(record.seq) for record in SeqIO.parse(handle, "fasta")}
    genome = Genome(path, cache_dir=tmp_path)
    genome.verify()
    assert genome.contigs == tuple(expected)
    rng = np.random.default_rng(0)
    contigs = rng.integers(0, len(expected), 2000)
    starts = rng.integers(0, genome.lengths[contigs] - 512)
    reverse = rng.random(2000) < 0.5
    rows = text(genome.windows(starts, 512, contigs=contigs, reverse=reverse))
    assert rows == [
        as_read(expected[genome.contigs[c]][s : s + 512], r) for c, s, r in zip(contigs, starts, reverse, strict=True)
    ]
