"""The GPU benchmark runs at toy size on the CPU, without the single-cell packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"anndata", "scanpy", "scvi", "Bio"}:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
import warnings

import pytorch_lightning  # third parties may warn about each other while they load

warnings.simplefilter("error")
from benchmarks.gpu import main
main(["--toy", "--out", sys.argv[1]])
assert not {"anndata", "scanpy", "scvi", "Bio"} & set(sys.modules)
"""


@pytest.mark.slow
def test_it_runs_at_toy_size_without_single_cell_packages(tmp_path):
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu_toy.json").read_text())
    assert result["agreement"]["agree"]
    rows = result["throughput"]
    assert [(r["encoder"], r["mode"]) for r in rows] == [(e, m) for e in ("transformer", "mlp") for m in ("float32", "bf16")]
    assert all(r["train_cells_per_second"] > 0 and r["embed_cells_per_second"] > 0 and r["step_tflop"] > 0 for r in rows)
    assert [r["ratio"] for r in result["hiding"]] == [0.15, 0.5, 0.9]
    assert 0.005 < result["nonzero"] < 0.9
    assert all(r["take_ms"] > 0 and r["hide_ms"] > 0 for r in result["hiding"])
    assert [(r["preset"], r["mode"]) for r in result["dna"]] == [("tiny", "float32")]
    assert all(r["train_bases_per_second"] > 0 and r["read_bases_per_second"] > 0 and r["step_tflop"] > 0 for r in result["dna"])
    assert all(r["difference"] < 1e-5 and r["dilated"] > 0 and r["phases"] > 0 for r in result["convolution"])
    assert max(result["dna_agreement"].values()) == 0
    assert "CPU and device" in (tmp_path / "gpu_toy.txt").read_text()
