"""Overlap of the masked autoencoder's joint predictor with the true programmes, beside PCA and
factor analysis.

python -m benchmarks.theory_joint [--genes 100] [--draws 20] [--toy] [--out
benchmarks/results/theory_joint_cpu.md]
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import linalg
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from r2mae_bio.theory.simulate._overlap_limit import Readout

    Float = NDArray[np.float64]
    Law = float | tuple[float, float]

RANK = 5
LAWS: dict[str, Law] = {
    ".15": 0.15, ".5": 0.5, ".75": 0.75, ".9": 0.9, "U(0,1)": (0.0, 1.0), "U(.3,.9)": (0.3, 0.9),
}  # fmt: skip
EVERY_MASK = (".15", ".5", ".75", ".9")
"""With infinitely many masks a random ratio has the subspaces of a fixed one, and U(0,1) none: its
rescaled input has infinite variance.
"""
CELLS_PER_GENE = (0.3, 0.6, 1.0, 2.0, 5.0)
FROM_B = ("left", "right", "symmetrised", "scaled", "whitened", "filled")
FROM_CELLS = ("pca", "pca_standardised", "pca_filled", "factor_analysis")
BEST = ("right", "symmetrised", "whitened", "filled")
WITH_THEORY: tuple[Readout, ...] = ("symmetrised", "right")


class Genes(NamedTuple):
    """A covariance and its programmes."""

    name: str
    covariance: Float
    programmes: Float


def families(d: int) -> Iterator[Genes]:
    """The four kinds of genes.

    Yields
    ------
    Name, covariance (d, d) and loadings (d, RANK).
    """
    loadings = derive_generator(0, "bench.joint").normal(size=(d, RANK))
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    member = np.arange(d)[:, None] % RANK == np.arange(RANK)
    blocks = np.where(member, 1.0, 0.15) * loadings
    blocks /= np.linalg.norm(blocks, axis=1, keepdims=True)
    uneven = np.where(np.arange(d) % 7 == 0, 0.8, 0.15)
    yield _correlation("factors, every communality .25", loadings, np.full(d, 0.25))
    yield _correlation("factors, communality .8 for one gene in 7, else .15", loadings, uneven)
    yield _correlation("programmes of disjoint genes, communality .8 for one gene in 7, else .15", blocks, uneven)
    L = 0.5 * loadings
    noise = np.exp(1.5 * derive_generator(1, "bench.joint").normal(size=d))
    yield Genes(
        "factors, not standardised: noise log-normal (s.d. 1.5 in the log)", L @ L.T + np.diag(0.75 * noise / noise.mean()), L
    )


def factor_analysis(rows: Float, rank: int) -> Float:
    """Loadings by maximum likelihood (d, rank)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(linalg.orth(FactorAnalysis(rank).fit(rows).components_.T))


def run(genes: Genes, draws: int) -> Iterator[str]:
    """The tables of one kind of genes, line by line.

    Yields
    ------
    Lines of Markdown.
    """
    sizes = {share: round(share * len(genes.covariance)) for share in CELLS_PER_GENE}
    every = {(x, law): _simulate(genes, n, LAWS[law], None, draws) for x, n in sizes.items() for law in EVERY_MASK}
    single = {(x, law): _simulate(genes, n, LAWS[law], 1, draws) for x, n in sizes.items() for law in LAWS}
    yield f"\n## {genes.name}\n"
    yield _population(genes)
    yield "\nUnmasked cells, and the best ratio of each way to read B from infinitely many masks of them (last: from one mask)\n"
    yield from _heading("n/d", *FROM_CELLS, "theory: pca", *BEST, "one mask")
    for x, n in sizes.items():
        cells = every[x, EVERY_MASK[0]]
        best = [_best({law: every[x, law] for law in EVERY_MASK}, (name,)) for name in BEST]
        masked_once = _best({law: single[x, law] for law in LAWS}, FROM_B)
        yield _row(x, *(_cell(cells, name) for name in FROM_CELLS), _expected(genes, n, 0.5, "pca"), *best, masked_once)
    yield "\nInfinitely many masks of the same cells\n"
    yield from _heading("n/d", "ratio", *FROM_B, *(f"theory: {name}" for name in WITH_THEORY))
    for (x, law), found in every.items():
        expected = [_expected(genes, sizes[x], LAWS[law], name) for name in WITH_THEORY]
        yield _row(x, law, *(_cell(found, name) for name in FROM_B), *expected)
    yield "\nOne mask per cell, minimum norm\n"
    yield from _heading("n/d", "ratio", *FROM_B)
    for (x, law), found in single.items():
        yield _row(x, law, *(_cell(found, name) for name in FROM_B))


def main() -> None:
    """Print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--toy", action="store_true", help="20 genes, 2 draws")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    d, draws = (20, 2) if arguments.toy else (arguments.genes, arguments.draws)
    start, lines = (
        time.perf_counter(),
        [f"{d} genes, {RANK} programmes, {draws} draws; overlap (standard error in the last digits)"],
    )
    for genes in families(d):
        for line in run(genes, draws):
            print(line, flush=True)
            lines.append(line)
    lines.append(f"\n{time.perf_counter() - start:.0f} s, {platform.machine()} CPU, NumPy {np.__version__}")
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _correlation(name: str, directions: Float, communality: Float) -> Genes:
    L = directions * np.sqrt(communality)[:, None]
    return Genes(name, L @ L.T + np.diag(1 - communality), L)


def _population(genes: Genes) -> str:
    """Overlaps in the limit of many cells, from the theory at a very large n."""
    expected = [f"{name} {_expected(genes, 1e7, 0.5, name)}" for name in ("pca", "left", "right", "symmetrised")]
    return "Many cells, ratio .5: " + ", ".join(expected) + "."


def _cell(found: theory.Overlaps, name: str) -> str:
    return f"{found.mean(name):.3f} ({1000 * found.standard_error(name):.0f})"


def _best(by_ratio: Mapping[str, theory.Overlaps], names: tuple[str, ...]) -> str:
    law, name = max(((law, name) for law in by_ratio for name in names), key=lambda at: by_ratio[at[0]].mean(at[1]))
    return f"{_cell(by_ratio[law], name)} at {law}" + (f", {name}" if len(names) > 1 else "")


def _simulate(genes: Genes, n: int, law: Law, masks: int | None, draws: int) -> theory.Overlaps:
    return theory.simulate_overlap(
        genes.covariance, genes.programmes, n=n, mask_ratio=law, masks_per_row=masks, draws=draws,
        others={} if masks else {"factor_analysis": factor_analysis},
    )  # fmt: skip


def _expected(genes: Genes, n: float, law: Law, readout: Readout) -> str:
    return f"{theory.expected_overlap(genes.covariance, genes.programmes, n=n, mask_ratio=law, readout=readout):.3f}"


def _heading(*names: str) -> tuple[str, str]:
    return _row(*names), _row(*["---"] * len(names))


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
