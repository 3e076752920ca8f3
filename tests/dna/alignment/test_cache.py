"""The converted files of an alignment: made once, anew when needed, never read when damaged."""

from __future__ import annotations

import os

import pytest

from r2mae_bio.dna.alignment import _cache
from r2mae_bio.dna.alignment._index import COLUMNS
from r2mae_bio.dna.genome._index import BASES, INDEX
from r2mae_bio.errors import CacheError, ConfigError, MafError
from r2mae_bio.io import Alignment, Genome

from .conftest import block, shown

BLOCK = block("ref.1 1 4 + 8 ACGT", "a.1 0 4 + 4 ACGA")


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for every conversion."""
    convert, calls = _cache.convert, []
    monkeypatch.setattr(_cache, "convert", lambda *args, **options: (calls.append(1), convert(*args, **options))[1])
    return calls


def test_converted_once_and_found_where_it_moved(write, tmp_path, conversions) -> None:
    path, root = write(BLOCK), tmp_path / "cache"
    first = Alignment(path, reference="ref", cache_dir=root)
    again = Alignment(path.rename(tmp_path / "moved.maf"), reference="ref", cache_dir=root)
    assert (len(conversions), first.cache) == (1, again.cache)
    assert sorted(p.name for p in first.cache.iterdir()) == [COLUMNS, INDEX]
    assert shown(again, "1", 0, 6) == [".ACGA."]


def test_all_that_decides_on_the_content_makes_another_cache(write, tmp_path) -> None:
    path, root = write(BLOCK), tmp_path / "cache"
    other = write(BLOCK.replace("ACGA", "ACGC"), name="other.maf")
    (tmp_path / "ref.fa").write_text(">1\nNACGTNNN\n")
    genome = Genome(tmp_path / "ref.fa", cache_dir=root)
    given = [
        ({"maf_paths": path, "reference": "ref"}),
        ({"maf_paths": path, "reference": "a"}),
        ({"maf_paths": path, "reference": "ref", "overlaps": "last"}),
        ({"maf_paths": path, "reference": "ref", "genome": genome}),
        ({"maf_paths": other, "reference": "ref"}),
        ({"maf_paths": [path, other], "reference": "ref"}),
        ({"maf_paths": [other, path], "reference": "ref"}),
    ]
    caches = [Alignment(**options, cache_dir=root).cache for options in given]
    assert len({*caches, genome.cache}) == len(given) + 1
    assert sorted(p.name for p in genome.cache.iterdir()) == [BASES, INDEX]


DAMAGE = {
    "columns cut": lambda folder: os.truncate(folder / COLUMNS, 3),
    "columns missing": lambda folder: (folder / COLUMNS).unlink(),
    "index cut": lambda folder: os.truncate(folder / INDEX, 30),
    "index changed": lambda folder: (folder / INDEX).write_text((folder / INDEX).read_text().replace('"a"', '"b"')),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_repaired_or_refused(write, tmp_path, conversions, damage) -> None:
    path = write(BLOCK)
    alignment = Alignment(path, reference="ref", cache_dir=tmp_path / "cache")
    damage(alignment.cache)
    with pytest.raises(CacheError, match="alignment cache .* cannot be used: .*Open the alignment again"):
        Alignment.__new__(Alignment).__setstate__(alignment.__getstate__())
    assert shown(Alignment(path, reference="ref", cache_dir=tmp_path / "cache"), "1", 0, 6) == [".ACGA."]
    assert len(conversions) == 2


def test_a_refused_file_leaves_nothing(write, tmp_path) -> None:
    path = write(BLOCK, BLOCK)
    with pytest.raises(MafError, match="block 2"):
        Alignment(path, reference="ref", cache_dir=tmp_path / "cache", overlaps="error")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


def test_a_file_that_changes_while_it_is_read(write, tmp_path, monkeypatch) -> None:
    path, convert = write(BLOCK), _cache.convert

    def meanwhile(*args, **options):
        index = convert(*args, **options)
        write(BLOCK, BLOCK)
        return index

    monkeypatch.setattr(_cache, "convert", meanwhile)
    with pytest.raises(MafError, match="changed while it was read"):
        Alignment(path, reference="ref", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("reference", ["", "a b", None])
def test_references_that_cannot_be(write, tmp_path, reference) -> None:
    with pytest.raises(ConfigError, match="is no species; needed is what its rows are named by"):
        Alignment(write(BLOCK), reference=reference, cache_dir=tmp_path)


def test_files_that_are_not_there(tmp_path) -> None:
    with pytest.raises(MafError, match=r"none\.maf does not exist; needed is a MAF file"):
        Alignment(tmp_path / "none.maf", reference="ref", cache_dir=tmp_path)
    with pytest.raises(ConfigError, match="needed is at least one MAF file"):
        Alignment([], reference="ref", cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_names_the_option(write, tmp_path, monkeypatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is needed")
    with pytest.raises(CacheError, match="alignment cache cannot be written.*pass cache_dir="):
        Alignment(write(BLOCK), reference="ref", cache_dir=blocked)
    monkeypatch.setattr(_cache, "default_cache_dir", lambda: tmp_path / "own" / "genomes")
    assert Alignment(write(BLOCK), reference="ref").cache.parent == tmp_path / "own" / "alignments"
