"""The scripts of docs/genome_wide.md: their commands make, shard by shard, what one run makes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio.cli import main

FILES = Path(__file__).resolve().parents[2] / "docs" / "genome_wide_files"
N_BASES = 2500


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A genome and a model in the working folder, and the tracks of one run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), N_BASES))
    Path("genome.fa.gz").write_text(f">chr1\n{bases}\n")
    genome = rb.io.Genome("genome.fa.gz")
    model = rb.model.DNAMAE(genome, window=16, n_layers=1, d_model=16)
    model.train(max_epochs=1, epoch_windows=32, progress_bar=False)
    model.save("dna_model")
    files = rb.tl.saturation_track(None, genome, model, out="whole/scores.bg")
    return {path.name: path.read_bytes() for path in files}


def written(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.bg")}


def test_commands_of_the_snakefile_make_what_one_run_makes(whole: dict[str, bytes]) -> None:
    commands = re.findall(r'^ +"(?:OMP_NUM_THREADS=\{threads\} )?(r2mae .*)"$', (FILES / "Snakefile").read_text(), re.MULTILINE)
    assert len(commands) == 2
    outputs = [f"parts/{i}.logp" for i in (1, 2, 3)]
    for i, output in enumerate(outputs, 1):
        given = {"input": SimpleNamespace(genome="genome.fa.gz"), "wildcards": SimpleNamespace(i=i), "output": output}
        assert main(shlex.split(commands[0].format(**given, MODEL="dna_model", N=3))[1:]) == 0
    assert main(shlex.split(commands[1].format(input=" ".join(outputs), FORM="bg"))[1:]) == 0
    assert written("tracks") == whole


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a script for bash")
def test_tasks_of_the_array_make_what_one_run_makes(whole: dict[str, bytes]) -> None:
    program = Path("bin") / "r2mae"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom r2mae_bio.cli import main\nraise SystemExit(main())\n")
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent.resolve()}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_COUNT": "2"}
    for task in ("2", "1", "1"):  # the last is queued again, and done
        subprocess.run(["bash", str(FILES / "track_array.sh")], env={**env, "SLURM_ARRAY_TASK_ID": task}, check=True, timeout=300)
    assert main(["track-merge", *map(str, Path("parts").glob("*.logp")), "--out", "merged/scores.bg"]) == 0
    assert written("merged") == whole
