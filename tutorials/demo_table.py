"""The long table of the demo: R2MAE beside controls on 700 blood cells. Run by ``make demo
ARGS=--full``.

Reference and query cells are split once; every method sees the reference cells without labels;
probes are trained on the references measured in full and score queries of which 100%, 30%, 10% or
3% of the genes were measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio import evaluate
from r2mae_bio.evaluate import FactorAnalysis, MaskedAutoencoder, Noise, PCAZeroFill, ProbabilisticPCA

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from anndata import AnnData

FRACTIONS = (1.0, 0.3, 0.1, 0.03)
METHODS = (
    MaskedAutoencoder("R2MAE transformer, U(0, 1)"),
    MaskedAutoencoder("fixed ratio 0.15", 0.15),
    MaskedAutoencoder("fixed ratio 0.5", 0.5),
    MaskedAutoencoder("fixed ratio 0.75", 0.75),
    MaskedAutoencoder("R2MAE MLP control", model_kwargs={"encoder": "mlp"}),
    PCAZeroFill(),
    ProbabilisticPCA(),
    FactorAnalysis(),
    MaskedAutoencoder("untrained encoder", trained=False),
    MaskedAutoencoder("random-init encoder", trained=False, model_kwargs={"start": "random"}),
    Noise(),
)


def compare(adata: AnnData, seeds: tuple[int, ...], on_result: Callable[[str], None]) -> pd.DataFrame:
    """Scores of all methods; ``on_result`` is told each."""
    labels = adata.obs["bulk_labels"].astype(str).to_numpy()
    split = evaluate.stratified_split(labels, query_fraction=0.3, seed=0)
    return evaluate.panel_transfer(
        METHODS, adata.layers["counts"], labels, split=split, fractions=FRACTIONS, seeds=seeds, on_result=on_result
    )


def table(frame: pd.DataFrame, adata: AnnData) -> str:
    """The scores in markdown."""
    summary = evaluate.summarize(frame)
    parts = [
        "## Comparison",
        f"{adata.n_obs} cells, {adata.n_vars} genes, 10 cell types. Reference (70%) and query (30%) cells were split once, stratified. "
        "Methods saw the reference cells without labels; probes were trained on the references measured in full. Columns: share of "
        f"the genes measured in the queries, the same random panel for every method. Mean ± standard deviation over "
        f"{frame['seed'].nunique()} seeds of panel and method; best of a column in bold.",
    ]
    for probe, title in {"linear": "linear probe", "knn": "k nearest neighbours"}.items():
        for metric, label in {"macro_f1": "macro-F1", "accuracy": "accuracy"}.items():
            parts += [f"### {label}, {title}", evaluate.to_markdown(summary, probe=probe, metric=metric)]
    parts += [
        "PCA fills unmeasured genes with zero, as is usual; probabilistic PCA and factor analysis use the posterior mean given the "
        'measured genes, the right linear answer. The transformer starts from a factor analysis of the training cells: "untrained '
        'encoder" is that start, and what training adds is the difference to it.'
    ]
    return "\n\n".join(parts) + "\n"
