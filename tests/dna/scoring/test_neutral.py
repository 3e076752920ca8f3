"""An expectation as an object: its table, its file, and whom it belongs to."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio._rng import derive_generator
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.io import Genome, NeutralExpectation, encode_bases

from .conftest import CHROM, Model, open_genome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM})


def expectation(genome: Genome, **record: object) -> NeutralExpectation:
    rng = derive_generator(0, "expectation")
    words = rng.integers(0, 4, (900, 5)).astype(np.uint8)
    alt = ((words[:, 2] + rng.integers(1, 4, 900)) % 4).astype(np.uint8)
    facts = {"model": Model().checksum(), "genome": genome.fingerprint(), "context": 25, "sites": "soft-masked"}
    counts = {"n_sites": 300, "n_available": 400, "seed": 3}
    return NeutralExpectation.of(words, alt, rng.normal(size=900), **{**facts, **counts, **record})


def test_the_table_has_every_substitution_in_every_context_once(genome: Genome) -> None:
    table = expectation(genome).table
    assert table.groupby(table["context"].str.len()).size().to_dict() == {1: 6, 3: 96, 5: 1536}
    assert table.groupby(table["context"].str.len())["n"].sum().tolist() == [900, 900, 900]
    assert not table.duplicated(["context", "alt"]).any()
    centre = [context[len(context) // 2] for context in table["context"]]
    assert set(centre) == {"C", "T"}
    assert all(base != alt for base, alt in zip(centre, table["alt"], strict=True))
    assert table["expected"].notna().all()


def test_what_is_saved_is_read_back_and_scores_the_same(genome: Genome, tmp_path: Path) -> None:
    made = expectation(genome)
    read = NeutralExpectation.load(made.save(tmp_path / "deep" / "neutral.json"))
    assert read.digest() == made.digest()
    assert repr(read) == repr(made)
    where = np.zeros(3, np.int64), np.array([0, 40, 295])
    for one, other in zip(
        made.at(genome, *where, encode_bases("TTT")), read.at(genome, *where, encode_bases("TTT")), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert expectation(genome, seed=4).digest() != made.digest()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "r2mae_bio neutral expectation 1", "model": 3}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "neutral.json"
    path.write_text(text)
    with pytest.raises(DataError, match="cannot be read as a neutral expectation"):
        NeutralExpectation.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        NeutralExpectation.load(tmp_path / "missing.json")


def test_a_damaged_table_is_refused(genome: Genome, tmp_path: Path) -> None:
    path = expectation(genome).save(tmp_path / "neutral.json")
    data = json.loads(path.read_text())
    data["levels"][2]["mean"].pop()
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="cannot be read"):
        NeutralExpectation.load(path)


def test_it_belongs_to_one_genome_model_and_context(genome: Genome, tmp_path: Path) -> None:
    made = expectation(genome)
    made.check(genome, Model(), 25)
    other = open_genome(tmp_path, {"chr1": CHROM[:-1] + "A"})
    for wrong, named in (
        ((other, Model(), 25), "the genome"),
        ((genome, SimpleNamespace(checksum=lambda: "else"), 25), "the model"),
        ((genome, Model(), 24), "context 25"),
    ):
        with pytest.raises(ConfigError, match=named):
            made.check(*wrong)
