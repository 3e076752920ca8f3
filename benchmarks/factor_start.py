"""What the start of a gene model costs: CPU seconds and peak memory, on generated counts.

python -m benchmarks.factor_start [--cells 100000] [--genes 5000] [--density .0714] [--file NPZ]

Counts follow 12 programmes of genes, with unequal depths and shares. Scan: means and spreads of all
training cells. Factors: the network built and started at a factor analysis. Memory is the peak of
each step over what the process held before it, in units of the matrix (float32 values, int32
columns). --file keeps the counts, to measure two versions of the package on the same ones: run this
file with another PYTHONPATH.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from scipy import sparse

from benchmarks.memory import resident
from r2mae_bio.model import GeneMAE

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE = 1000
_PROGRAMMES = 12


def synthetic(n_cells: int, n_genes: int, density: float, seed: int = 0) -> sparse.csr_matrix:
    """Poisson counts of cells that follow programmes of genes, about ``density`` of them above
    zero.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(_PROGRAMMES, n_genes)) * (rng.random((_PROGRAMMES, n_genes)) < 0.2)
    share = np.exp(rng.normal(size=n_genes) * 1.5)
    probe = _rates(rng, 500, weights, share)
    low, high = 1e-8, 1e8
    for _ in range(60):  # counts per unit of rate, by bisection
        middle = (low * high) ** 0.5
        low, high = (middle, high) if float((1 - np.exp(-middle * probe)).mean()) < density else (low, middle)
    blocks = []
    for start in range(0, n_cells, _AT_ONCE):
        rates = low * _rates(rng, min(_AT_ONCE, n_cells - start), weights, share)
        blocks.append(sparse.csr_matrix(rng.poisson(rates).astype(np.float32)))
    return sparse.vstack(blocks, format="csr")


def _rates(rng: np.random.Generator, n_cells: int, weights: Any, share: Any) -> Any:
    programmes = rng.normal(size=(n_cells, _PROGRAMMES)) * np.linspace(1.5, 0.3, _PROGRAMMES)
    depth = np.exp(rng.normal(size=(n_cells, 1)) * 0.4)
    rates = share * np.exp(programmes @ weights * 0.7)
    return depth * rates / rates.sum(1, keepdims=True)


def measure(name: str, step: Callable[[], Any], size: int) -> Any:
    """Print CPU seconds and peak of one step, and return what it returns."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, started = resident("VmRSS"), time.process_time()
    result = step()
    seconds, peak = time.process_time() - started, resident() - before
    print(f"{name:8s} {seconds:7.1f} CPU seconds, peak {peak / size:5.2f} x the matrix ({peak / 1e6:,.0f} MB)", flush=True)
    return result


def child(file: Path) -> None:
    """Measure in a process that did not generate the counts."""
    warnings.filterwarnings("ignore")
    with np.load(file) as stored:
        matrix = sparse.csr_matrix((stored["data"], stored["indices"], stored["indptr"]), shape=tuple(stored["shape"]))
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    print(f"{matrix.shape[0]:,} cells x {matrix.shape[1]:,} genes, {matrix.nnz / 1e6:.1f} M entries, {size / 1e6:,.0f} MB")
    adata = ad.AnnData(matrix)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata)
    table = model._training_table()
    statistics = measure("scan", lambda: model._scan(table, 1.0), size)
    measure("factors", lambda: model._build(table, statistics, 1.0), size)
    print(f"the process at its peak: {resident() / 1e6:,.0f} MB")


def main() -> None:
    """Generate, then measure in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=5_000)
    parser.add_argument("--density", type=float, default=0.0714)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "counts.npz"
        if not file.exists():
            counts = synthetic(options.cells, options.genes, options.density)
            arrays = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr, "shape": counts.shape}
            np.savez(file, **arrays)
            del counts, arrays
        subprocess.run([sys.executable, __file__, "--child", "--file", str(file)], check=True)


if __name__ == "__main__":
    main()
