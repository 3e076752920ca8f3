"""What makes a trained embedding better than its start: one change at a time.

python -m benchmarks.objective --json FILE [--sets pbmc_sorted,bladder,...] [--seeds 1] [--methods
"start;default;gains;..."] [--genes 1000] [--resume] [--out FILE]

Methods are those of CANDIDATES. Each is trained on at most 3,000 reference cells and scored by
macro-F1 of linear and kNN probes that learned from whole reference cells: on query cells, and on a
fifth of the reference cells that the probes did not learn from, by which to choose; with all genes,
with a tenth of them (two panels), with a tenth of the molecules, and with log-normal gains of genes
(standard deviation .5). Beside it stand the nats and the Poisson loss of genes of query cells at
10, 50 and 90% hidden. Rows are written after each set, seed and method. --out writes differences
to the start and to the default, with 95% intervals over sets and seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from benchmarks.command_line import execute, parser, refuse_unknown, sweep, table
from benchmarks.gene_sets import SETS, load
from benchmarks.objective_candidates import Candidate
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate import fit_probe, thin_counts
from r2mae_bio.evaluate.methods._as_anndata import as_anndata
from r2mae_bio.evaluate.methods._masked_autoencoder import FittedGeneMAE
from r2mae_bio.model import GeneMAE
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData
    from numpy.typing import NDArray

CANDIDATES = {
    "start": Candidate(trained=False),
    "default": Candidate(),
    "32 dimensions": Candidate(model={"n_latent": 32}),
    "4 latent tokens": Candidate(model={"n_tokens": 4}),
    "2 blocks": Candidate(model={"n_layers": 2}),
    "48 wide": Candidate(model={"d_model": 48}),
    "32 wide": Candidate(model={"d_model": 32}),
    "decoder 512 wide": Candidate(model={"n_hidden": 512}),
    "dropout 0.3": Candidate(model={"dropout": 0.3}),
    "rate 3e-4": Candidate(train={"learning_rate": 3e-4}),
    "weight decay 0.3": Candidate(train={"weight_decay": 0.3}),
    "read learns": Candidate(train={"read_rate": 0.1}),
    "three times as long, best epoch": Candidate(longer=3),
    "averaged weights": Candidate(average=0.99),
    "factor dropout 0.2": Candidate(factor_dropout=0.2),
    "gains, sd up to 1": Candidate(gain_sd=1.0),
    "thinning down to 0.1": Candidate(thinning=0.1),
    "panels down to 0.03": Candidate(panel=0.03),
    "gains, thinning, panels": Candidate(gain_sd=1.0, thinning=0.1, panel=0.03),
    "visible genes as well": Candidate(visible=1.0),
    "cosine 1": Candidate(agreement="cosine", weight=1.0),
    "VICReg 0.03": Candidate(agreement="vicreg", weight=0.03),
    "contrast 0.3": Candidate(agreement="contrast", weight=0.3),
    "contrast 3": Candidate(agreement="contrast", weight=3.0),
    "contrast of molecules 0.1": Candidate(agreement="contrast", weight=0.1, molecules=True),
    "contrast of molecules 0.3": Candidate(agreement="contrast", weight=0.3, molecules=True),
    "contrast of molecules 1": Candidate(agreement="contrast", weight=1.0, molecules=True),
    "VICReg of molecules 0.03": Candidate(agreement="vicreg", weight=0.03, molecules=True),
    "start, moments at depth": Candidate(model={"depth_moments": True}, trained=False),
    "moments at depth": Candidate(model={"depth_moments": True}),
    "moments at depth, thinning": Candidate(model={"depth_moments": True}, thinning=0.1),
    "second look, 16 factors": Candidate(second_look=16),
}
STATES = ("all genes", "10% of genes", "10% of molecules", "gains")
MOST_CELLS, MOST_QUERY, N_PANELS, HIDDEN = 3000, 2000, 2, (0.1, 0.5, 0.9)
FAST = ("pbmc_sorted", "bladder", "pancreas", "brain", "pbmc_studies", "lung_immune")


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells to train on, those of them that probes do not learn from, and query cells in the states
    of STATES, each a list of counts and measured genes.
    """

    reference: sparse.csr_matrix
    labels: NDArray[np.str_]
    held: NDArray[np.bool_]
    states: dict[str, list[tuple[sparse.csr_matrix, NDArray[np.bool_]]]]
    query_labels: NDArray[np.str_]

    def adata(self) -> AnnData:
        """What is trained on."""
        adata = as_anndata(self.reference, np.arange(self.reference.shape[1]))
        GeneMAE.setup_anndata(adata)
        return adata


def prepare(n_genes: int, data: Any, name: str, seed: int) -> _Cells:
    """Draw cells, panels, molecules and gains of one set and seed."""
    cells, rng = load(name, seed, n_genes=n_genes, data=data), derive_generator(seed, "objective benchmark")
    chosen = []
    for part, most in ((cells.split.reference, MOST_CELLS), (cells.split.query, MOST_QUERY)):
        part = part[np.asarray(cells.counts[part].sum(axis=1)).ravel() > 0]
        chosen.append(np.sort(rng.choice(part, min(part.size, most), replace=False)))
    reference, query = (sparse.csr_matrix(cells.counts[part]).astype(np.float32) for part in chosen)
    held = rng.permutation(reference.shape[0]) < reference.shape[0] // 5
    whole = np.ones(reference.shape[1], bool)
    panels = [rng.permutation(whole.size) < max(1, whole.size // 10) for _ in range(N_PANELS)]
    both = sparse.vstack([reference, query], format="csr")
    gains = np.exp(0.5 * rng.standard_normal(whole.size))
    states = {
        "all genes": [(both, whole)],
        "10% of genes": [(both, panel) for panel in panels],
        "10% of molecules": [(sparse.csr_matrix(thin_counts(both, 0.1, seed=seed)), whole)],
        "gains": [(sparse.csr_matrix(_rounded(both.multiply(gains).tocsr(), rng)), whole)],
    }
    return _Cells(reference, cells.labels[chosen[0]], held, states, cells.labels[chosen[1]])


def _rounded(counts: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Whole numbers of the same expectation."""
    counts.data = np.floor(counts.data + rng.random(counts.data.size)).astype(np.float32)
    counts.eliminate_zeros()
    return counts


def measure(cells: _Cells, name: str, seed: int) -> pd.DataFrame:
    """Train one candidate, and score it."""
    model = FittedGeneMAE(CANDIDATES[name].fit(cells.adata(), seed))
    known, n = ~cells.held, cells.reference.shape[0]
    whole = model.embed(*cells.states["all genes"][0])
    kinds = [(kind, fit) for kind in ("linear", "knn") for fit in ("validation", "query")]
    probes = {
        (kind, on): fit_probe(
            *((whole[:n][known], cells.labels[known]) if on == "validation" else (whole[:n], cells.labels)), kind=kind
        )
        for kind, on in kinds
    }
    rows: list[dict[str, Any]] = []
    for state, versions in cells.states.items():
        embedded = [model.embed(*version) for version in versions]
        for (kind, on), probe in probes.items():
            truth = cells.labels[cells.held] if on == "validation" else cells.query_labels
            scores = [probe.score(e[:n][cells.held] if on == "validation" else e[n:], truth).macro_f1 for e in embedded]
            rows.append({"state": state, "probe": kind, "on": on, "macro_f1": float(np.mean(scores))})
    return pd.DataFrame(rows).assign(**_losses(model.model, cells))


@torch.no_grad()
def _losses(model: GeneMAE, cells: _Cells) -> dict[str, float]:
    """Of hidden genes of query cells; means over ratios."""
    network, rng, n = model.network, np.random.default_rng(0), cells.reference.shape[0]
    assert network is not None
    counts = torch.from_numpy(cells.states["all genes"][0][0][n : n + 600].toarray())
    found = []
    for ratio in HIDDEN:
        hidden = torch.from_numpy(rng.random(counts.shape) < ratio)
        tokens = TokenBatch(torch.arange(counts.shape[1])[None], counts.masked_fill(hidden, 0), ~hidden, full=True)
        params = network(tokens, torch.zeros(len(counts), 0))
        nats = network.likelihood.nll(counts, params)
        poisson = params.location.exp() - counts * params.location
        found.append((float(nats[hidden].mean()), float(poisson[hidden].mean())))
    return dict(zip(("nats", "poisson"), np.mean(found, axis=0).tolist(), strict=True))


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    ready = partial(prepare, options.genes, options.data)
    return sweep(options, list(CANDIDATES), ready, measure, lambda rows: rows.round(3).to_string(index=False))


def markdown(frame: pd.DataFrame) -> str:
    """Differences, the best on validation cells first."""
    scores = frame.pivot_table(index=["set", "seed", "method"], columns=["on", "state", "probe"], values="macro_f1", sort=False)
    losses = frame.groupby(["set", "seed", "method"], sort=False)[["nats", "poisson"]].first()
    parts = [f"{frame['set'].nunique()} sets ({', '.join(frame['set'].unique())}), {frame['seed'].nunique()} seeds.", ""]
    from_start = {name: _over(scores, name, "start") for name in CANDIDATES if name in set(frame["method"]) - {"start"}}
    order = sorted(from_start, key=lambda name: -from_start[name]["validation"].to_numpy().mean())
    parts += ["Losses of hidden genes minus those of the default:", ""]
    parts += [table(pd.DataFrame({name: _interval(_over(losses, name, "default"), 4) for name in order}).T), ""]
    for other, on in product(("start", "default"), ("validation", "query")):
        gaps = {name: _over(scores, name, other)[on] for name in order if name != other}
        texts = pd.DataFrame({name: _interval(gap, 3) for name, gap in gaps.items()}).T
        texts.columns = [f"{state}, {probe}" for state, probe in texts.columns]
        texts.insert(0, "mean", [f"{gap.to_numpy().mean():+.3f}" for gap in gaps.values()])
        texts.insert(0, "runs", [str(len(gap)) for gap in gaps.values()])
        parts += [f"Macro-F1 of {on} cells minus that of the {other}:", "", table(texts), ""]
    return "\n".join(parts)


def _over(values: pd.DataFrame, name: str, other: str) -> pd.DataFrame:
    """Differences of two methods in the sets and seeds that both have."""
    return (values.xs(name, level="method") - values.xs(other, level="method")).dropna()


def _interval(gap: pd.DataFrame, digits: int) -> pd.Series[str]:
    error = 1.96 * gap.std() / len(gap) ** 0.5
    return gap.mean().map(f"{{:+.{digits}f}}".format) + " ± " + error.map(f"{{:.{digits}f}}".format)


def main() -> None:
    """Run what the command line asks for."""
    command = parser(__doc__, FAST, list(CANDIDATES))
    command.add_argument("--genes", type=int, default=1000)
    options = command.parse_args()
    refuse_unknown(command, options, SETS, CANDIDATES)
    execute(options, run, markdown)


if __name__ == "__main__":
    main()
