"""How long the theory takes.

    python -m benchmarks.theory_speed [--h5ad FILE]

(1) 50 fixed ratios and 20 uniform laws for 20,000 genes, the eigenvalues given. (2)
``tl.recommend_mask_ratio`` on a count matrix: of the file if one is named, else of 13,000 generated
cells x 7,500 genes; 2,000 genes are used. Seconds and peak memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import numpy as np

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory import Eigendecomposition


def curve_of_many_genes(d: int = 20_000, n: int = 13_000) -> float:
    values = 1 / np.arange(d, 0, -1.0)
    eigen = Eigendecomposition(values / values.mean(), None)
    b = derive_generator(0, "coefficients").normal(size=d) / np.sqrt(d)
    laws = [*np.linspace(0, 0.98, 50), *((0.0, high) for high in np.linspace(0.3, 0.98, 20))]
    start = time.perf_counter()
    for law in laws:
        theory.regression_risk(eigen, b, n=n, noise_variance=0.1, mask_ratio=law)
    return time.perf_counter() - start


def data(path: str | None):
    import anndata
    from scipy import sparse

    if path is not None:
        return anndata.read_h5ad(path)
    rng = derive_generator(0, "counts")
    programmes = rng.gamma(0.3, 1.0, (13_000, 20)) @ rng.gamma(0.1, 1.0, (20, 7_500))
    counts = sparse.csr_matrix(rng.poisson(0.1 * programmes + 0.02).astype(np.float32))
    return anndata.AnnData(counts[np.asarray(counts.sum(axis=1)).ravel() > 0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--h5ad", default=None)
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the start")
    seconds = curve_of_many_genes()
    print(f"50 ratios + 20 laws, 20,000 genes: {seconds:.2f} s (bar: 10 s)")
    from r2mae_bio import tl

    adata = data(options.h5ad)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, cpu = time.perf_counter(), time.process_time()
    advice = tl.recommend_mask_ratio(adata)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"recommend_mask_ratio, {adata.n_obs:,} cells x {adata.n_vars:,} genes, {advice.n_genes:,} used: {seconds:.1f} s, {used:.1f} s of CPU "
        f"(bar: 60 s); peak {peak:,.0f} MiB, {before:,.0f} MiB before"
    )
    return int(seconds > 60)


if __name__ == "__main__":
    raise SystemExit(main())
