"""A genome read at random equals slices of the sequences that Biopython parses."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest
from Bio import SeqIO
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import (
    AmbiguousContigError,
    ConfigError,
    DuplicateContigsError,
    FastaError,
    RegionError,
    UnknownContigError,
)
from r2mae_bio.io import Genome

if TYPE_CHECKING:
    from pathlib import Path
from .conftest import as_read, text

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
    with pytest.raises(FastaError, match="is a folder or a pipe; needed is a FASTA file on the disk"):
        Genome(tmp_path, cache_dir=tmp_path / "cache")
    with pytest.raises(ConfigError, match="No path"):
        Genome([], cache_dir=tmp_path / "cache")
    fasta = write(tmp_path / "1.fa", ">a\nAC\n")
    for species in ("", "a:b", "a b", 7):
        with pytest.raises(ConfigError, match="cannot qualify contigs"):
            Genome({species: fasta}, cache_dir=tmp_path / "cache")


# ---------------------------------------------------------------- indexed FASTA


@pytest.mark.parametrize("compression", ["plain", "bgzip"])
def test_regions_are_those_of_an_indexed_fasta(fasta, tmp_path, compression) -> None:
    """``samtools faidx``, through pysam, over lines of text or blocks of bgzip."""
    pysam = pytest.importorskip("pysam", reason="pysam is the oracle here")
    path = write(tmp_path / "genome.fa", "")
    pysam.tabix_compress(str(fasta), str(path), force=True) if compression == "bgzip" else path.write_bytes(fasta.read_bytes())
    genome, rng = Genome(path, cache_dir=tmp_path / "cache"), np.random.default_rng(0)
    with pysam.FastaFile(str(path)) as index:
        assert (genome.contigs, tuple(genome.lengths)) == (tuple(index.references), tuple(index.lengths))
        for contig, length in zip(index.references, index.lengths, strict=True):
            for _ in range(50):
                start, end = np.sort(rng.integers(0, length + 1, 2)).tolist()
                if start < end:
                    assert genome.fetch(contig, start, end) == as_read(index.fetch(contig, start, end), reverse=False)


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
