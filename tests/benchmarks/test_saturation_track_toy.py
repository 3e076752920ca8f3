"""Shards of which one is killed, against a whole run; bases hidden together, against one by one."""

from __future__ import annotations

import argparse
import gzip

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from benchmarks import hidden_at_once, saturation_track

N_BASES = 13_000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with random bases in the place of the genome."""
    folder = tmp_path_factory.mktemp("data")
    path = folder / "dna" / "ecoli_k12" / "genome.fa.gz"
    path.parent.mkdir(parents=True)
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), N_BASES))
    with gzip.open(path, "wt") as stream:
        stream.write(f">c\n{bases}\n")
    return folder


@pytest.mark.slow
def test_shards_that_were_killed_give_the_whole_and_other_tools_read_it(data, tmp_path):
    pytest.importorskip("pybigtools", reason="writes bigWig")
    sizes = {"bases": None, "shards": 2, "workers": 2, "stride": 32, "hidden_at_once": 8}
    found = saturation_track.measure(argparse.Namespace(data=data, model=None, **sizes), tmp_path)
    assert found["same bytes"]
    assert 0 < found["blocks that were on the disk when the second was killed"] < N_BASES // 1024 // 2
    assert found["pybigtools"] == "the same at 1000 bases of 6 files"
    assert len(list((tmp_path / "whole").iterdir())) == 6


def test_ratios_of_changes_are_those_of_the_whole_region(data, tmp_path):
    genome = rb.io.Genome(data / "dna" / "ecoli_k12" / "genome.fa.gz", cache_dir=tmp_path)
    model = rb.model.DNAMAE(genome, window=32, n_layers=1, d_model=16)
    model.train(max_epochs=1, epoch_windows=32, progress_bar=False)
    settings = {"stride": 16, "hidden_at_once": 4}
    table = rb.tl.saturation_mutagenesis(("c", 0, 200), genome, model, **settings)
    changes = pd.DataFrame({"chrom": "c", "pos": [3, 90, 91, 91, 200], "alt": list("ACGTA")})
    expected = [table.loc[pos - 1, f"llr_{alt}"] for pos, alt in zip(changes.pos, changes.alt, strict=True)]
    np.testing.assert_allclose(hidden_at_once.ratios_at(changes, genome, model, **settings), expected, rtol=1e-4, atol=1e-5)
