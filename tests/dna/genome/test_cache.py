"""The converted files: made once, made anew when needed, never half, never read when damaged."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from r2mae_bio._errors import CacheError, DuplicateContigsError, FastaError, NotDNAError
from r2mae_bio.dna.genome import _cache as _genome_cache
from r2mae_bio.dna.genome import _sources
from r2mae_bio.dna.genome._index import BASES, INDEX
from r2mae_bio.io import Genome

if TYPE_CHECKING:
    from pathlib import Path

BASE_TEXT = ">a first\nACGTN\nacgt\n>b\nGG\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(BASE_TEXT)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Counter:
    """Counts the calls of a function that it replaces."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.calls = 0
        self._function = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *args: object) -> object:
        self.calls += 1
        return self._function(*args)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(monkeypatch, _genome_cache, "convert")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Hashes of files computed; files may be remembered however young they are."""
    monkeypatch.setattr(_sources, "_SETTLED_NS", -(10**12))
    return Counter(monkeypatch, _sources.hashlib, "file_digest")


def test_converted_and_hashed_once(fasta, root, conversions, hashes) -> None:
    for _ in range(3):
        assert Genome(fasta, cache_dir=root).fetch("a") == "ACGTNacgt"
    assert (conversions.calls, hashes.calls) == (1, 1)
    assert sorted(p.name for p in Genome(fasta, cache_dir=root).cache.iterdir()) == [BASES, INDEX]


def test_a_young_file_is_not_trusted(fasta, root, monkeypatch) -> None:
    """It may change within the tick of its time stamp, without a change of size."""
    assert Genome(fasta, cache_dir=root).fetch("b") == "GG"
    before = fasta.stat()
    fasta.write_text(BASE_TEXT.replace("GG", "CC"))
    os.utime(fasta, ns=(before.st_atime_ns, before.st_mtime_ns))
    monkeypatch.setattr(_sources, "file_state", lambda path: [before.st_size, before.st_mtime_ns, before.st_ctime_ns])
    assert Genome(fasta, cache_dir=root).fetch("b") == "CC"


def test_a_changed_file_is_converted_anew(fasta, root, conversions, hashes) -> None:
    assert Genome(fasta, cache_dir=root).fetch("b") == "GG"
    fasta.write_text(BASE_TEXT.replace("GG", "CC"))
    assert Genome(fasta, cache_dir=root).fetch("b") == "CC"
    fasta.write_text(BASE_TEXT)
    assert Genome(fasta, cache_dir=root).fetch("b") == "GG"
    assert (conversions.calls, hashes.calls) == (2, 3)


def test_a_moved_file_is_found_again(fasta, root, conversions) -> None:
    Genome(fasta, cache_dir=root)
    moved = fasta.rename(fasta.with_name("other.fa"))
    genome = Genome(moved, cache_dir=root)
    assert genome.sources == (moved,)
    assert conversions.calls == 1


def test_order_and_species_matter(fasta, root) -> None:
    other = fasta.with_name("other.fa")
    other.write_text(">c\nTT\n")
    given = [[fasta, other], [other, fasta], {"x": fasta, "y": other}, {"x": [fasta, other]}]
    genomes = [Genome(paths, cache_dir=root) for paths in given]
    assert len({genome.cache for genome in genomes}) == len(given)
    assert [genome.contigs[0] for genome in genomes] == ["a", "c", "x:a", "x:a"]


def flip_base(folder: Path) -> None:
    with (folder / BASES).open("r+b") as file:
        file.write(b"T")


DAMAGE = {
    "bases cut": lambda folder: os.truncate(folder / BASES, 3),
    "bases longer": lambda folder: (folder / BASES).write_bytes(b"A" * 99),
    "bases missing": lambda folder: (folder / BASES).unlink(),
    "index missing": lambda folder: (folder / INDEX).unlink(),
    "index cut": lambda folder: os.truncate(folder / INDEX, (folder / INDEX).stat().st_size // 2),
    "index empty": lambda folder: (folder / INDEX).write_text(""),
    "index of another kind": lambda folder: (folder / INDEX).write_text("[1, 2]"),
    "index binary": lambda folder: (folder / INDEX).write_bytes(b"\xff\xfe\0"),
    "name changed": lambda folder: (folder / INDEX).write_text((folder / INDEX).read_text().replace('"first"', '"fjrst"')),
    "other format": lambda folder: (folder / INDEX).write_text(
        json.dumps({**json.loads((folder / INDEX).read_text()), "format": 0})
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_repaired(fasta, root, conversions, damage) -> None:
    folder = Genome(fasta, cache_dir=root).cache
    damage(folder)
    assert Genome(fasta, cache_dir=root).fetch("a") == "ACGTNacgt"
    assert conversions.calls == 2


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_refused_where_it_cannot_be_repaired(fasta, root, damage) -> None:
    """In a worker that receives the state of a genome and not its files."""
    genome = Genome(fasta, cache_dir=root)
    state = genome.__getstate__()
    damage(genome.cache)
    with pytest.raises(CacheError, match="cannot be used: .*Open the genome again"):
        Genome.__new__(Genome).__setstate__(state)


def test_bases_cut_after_opening_are_refused(fasta, root) -> None:
    genome = Genome(fasta, cache_dir=root)
    os.truncate(genome.cache / BASES, 3)
    with pytest.raises(CacheError, match="needed are 11 bytes"):
        genome.fetch("a")


def test_verify_finds_a_changed_base(fasta, root) -> None:
    genome = Genome(fasta, cache_dir=root)
    genome.verify()
    flip_base(genome.cache)
    with pytest.raises(CacheError, match="damaged after it was written"):
        Genome(fasta, cache_dir=root).verify()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_conversion_leaves_nothing(fasta, root, monkeypatch, failure) -> None:
    def interrupted(sources, folder):
        (folder / BASES).write_bytes(b"ACG")
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(_genome_cache, "convert", interrupted)
        with pytest.raises(failure):
            Genome(fasta, cache_dir=root)
    assert [p.name for p in root.iterdir() if p.is_dir()] == []
    assert Genome(fasta, cache_dir=root).fetch("b") == "GG"


def test_a_refused_file_leaves_nothing(fasta, root) -> None:
    fasta.write_text(BASE_TEXT + ">c\nMKVLE\n")
    with pytest.raises(NotDNAError, match="line 7, record 'c'"):
        Genome(fasta, cache_dir=root)
    assert [p.name for p in root.iterdir() if p.is_dir()] == []


def test_names_that_are_repeated_are_refused_of_an_older_cache_too(fasta, root, monkeypatch) -> None:
    copy = fasta.with_name("copy.fa")
    copy.write_text(BASE_TEXT)
    with monkeypatch.context() as patch:  # older versions took the same file twice
        patch.setattr("r2mae_bio.dna.genome._convert._ContigTable._refuse_duplicate", lambda self, header, source: None)
        Genome([fasta, fasta], cache_dir=root)
    for files in ([fasta, fasta], [fasta, copy], {"x": [fasta, fasta]}):
        with pytest.raises(DuplicateContigsError, match="the name 'a' was given before"):
            Genome(files, cache_dir=root)
    assert Genome({"x": fasta, "y": fasta}, cache_dir=root).contigs == ("x:a", "x:b", "y:a", "y:b")


def test_a_file_that_changes_while_it_is_read_is_refused(fasta, root, monkeypatch) -> None:
    convert = _genome_cache.convert

    def meanwhile(sources, folder):
        index = convert(sources, folder)
        fasta.write_text(BASE_TEXT + ">c\nAC\n")
        return index

    monkeypatch.setattr(_genome_cache, "convert", meanwhile)
    with pytest.raises(FastaError, match="changed while it was read"):
        Genome(fasta, cache_dir=root)


def test_a_cache_that_cannot_be_written_names_the_option(fasta, tmp_path, monkeypatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is needed")
    with pytest.raises(CacheError, match="cannot be written.*pass cache_dir="):
        Genome(fasta, cache_dir=blocked)
    monkeypatch.setattr(_genome_cache, "default_cache_dir", lambda: blocked / "genomes")
    with pytest.raises(CacheError, match=r"blocked.*pass cache_dir="):
        Genome(fasta)


def test_a_cache_that_cannot_be_written_can_be_read(fasta, root, monkeypatch) -> None:
    """As where one person converts a genome for many."""

    def refused(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    Genome(fasta, cache_dir=root)
    monkeypatch.setattr(_sources, "write_json", refused)
    monkeypatch.setattr("r2mae_bio._files.tempfile.mkdtemp", refused)
    assert Genome(fasta, cache_dir=root).fetch("b") == "GG"
    fasta.write_text(">new\nAC\n")
    with pytest.raises(CacheError, match=r"Permission denied.*pass cache_dir="):
        Genome(fasta, cache_dir=root)


def test_default_cache_is_beside_the_data_sets(fasta, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder = _genome_cache.default_cache_dir()
    assert folder.name == "genomes"
    assert Genome(fasta).cache.parent == folder


def test_the_memory_of_hashes_survives_damage(fasta, root, hashes) -> None:
    Genome(fasta, cache_dir=root)
    for content in ("", "[]", json.dumps({str(fasta): 3}), json.dumps({str(fasta): {"state": 1}})):
        (root / "sources.json").write_text(content)
        assert Genome(fasta, cache_dir=root).fetch("b") == "GG"
    assert hashes.calls == 5
