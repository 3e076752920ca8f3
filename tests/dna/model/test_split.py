"""The split that a DNA model trains on."""

from __future__ import annotations

import pytest

from r2mae_bio._errors import ConfigError
from r2mae_bio.io import Genome, split_genome

from .conftest import TRAIN, WINDOW, periodic, write_genome


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch):
    monkeypatch.setattr("r2mae_bio._files.os.fsync", lambda _: None)


def test_the_split_says_whether_there_is_anything_to_validate_on(new, genome):
    with pytest.raises(ConfigError, match="early_stopping needs validation"):
        new().train(1, **TRAIN, split=split_genome(genome, validation=0), early_stopping=True)
    model = new()
    model.train(1, **TRAIN, split=split_genome(genome, validation=0.25), train_size=1.0, early_stopping=True)
    assert model.record.train["train_size"] == pytest.approx(0.75, abs=1e-3)


def test_a_split_of_another_genome_is_refused(new, genome, tmp_path):
    longer = write_genome(tmp_path / "longer", periodic(9000))
    (tmp_path / "two.fa").write_text(f">a\n{periodic(3000)}\n>b\n{periodic(3000)}\n")
    two = Genome(tmp_path / "two.fa", cache_dir=tmp_path)
    for other in (longer, two):
        with pytest.raises(ConfigError, match="is one of another genome"):
            new(genome).train(1, **TRAIN, split=split_genome(other, min_block=WINDOW))


def test_contigs_too_short_for_their_share_are_told_by_the_settings_of_the_training(new, tmp_path):
    short = write_genome(tmp_path, periodic(600))
    with pytest.raises(
        ConfigError, match=r"train_size=0.9 holds out the last 10%.* 600 bases, 60: fewer than the window of 64"
    ) as told:
        new(short).train(1, **TRAIN)
    assert "min_block" not in str(told.value)
    new(short).train(1, **TRAIN, train_size=1)
    new(short).train(1, **TRAIN, train_size=1 - WINDOW / 600)
