"""``r2mae theory``: the spectrum of a data set and the mask ratios that suit it."""

from typing import Annotated, Any

import typer

from r2mae_bio._keys import KEYS
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import Found, Job, command
from r2mae_bio.cli.common._inputs import given, read_cells

EXAMPLE = "r2mae theory cells.h5ad --layer counts --n-bootstrap 0"

_SHOWN = ("n_cells", "n_genes", "effective_rank", "entropy_rank", "n_spikes", "heavy_tail", "noise_variance", "shrinkage")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE)(theory)


def theory(
    job: Job,
    *,
    adata: options.Cells,
    layer: options.Layer = None,
    panel: Annotated[float | None, typer.Option(help="Share of the genes that a panel will measure.")] = None,
    n_cells: Annotated[int | None, typer.Option(help="Number of cells to train on; all if not given.")] = None,
    masks: Annotated[str | None, typer.Option(help="fresh, or single: one mask for each cell.")] = None,
    n_top_genes: Annotated[int | None, typer.Option(help="Number of most variable genes to use.")] = None,
    normalization: Annotated[str | None, typer.Option(help="log1p or pearson_residuals.")] = None,
    shrinkage: Annotated[str | None, typer.Option(help="ledoit-wolf or none.")] = None,
    n_bootstrap: Annotated[int | None, typer.Option(help="Bootstrap samples; 0 for none.")] = None,
    seed: options.Seed = None,
) -> Found:
    """Ask the linear theory which mask ratios suit cells.

    It also measures how strongly and along how many directions genes vary together.
    """
    from r2mae_bio import tl
    from r2mae_bio.cells.read._uns import read_record

    with job.input(adata, ".h5ad") as file:
        cells = read_cells(file)
    shared: dict[str, Any] = given(layer=layer, n_top_genes=n_top_genes, normalization=normalization, shrinkage=shrinkage)
    if shrinkage == "none":
        shared["shrinkage"] = None
    tl.spectrum(cells, **shared)
    advice = tl.recommend_mask_ratio(
        cells, **shared, **given(panel=panel, n_cells=n_cells, masks=masks, n_bootstrap=n_bootstrap, seed=seed)
    )
    spectrum = read_record(cells, KEYS.spectrum)
    rows = {name: spectrum[name] for name in _SHOWN}
    rows |= {"best fixed ratio, all genes": advice.full.curve.best, "best fixed ratio, panel": advice.on_panel.curve.best}
    rows |= {"recommended law": f"Uniform({advice.law[0]:g}, {advice.law[1]:g})"}
    lines = [f"{name:<28} {value:.4g}" if isinstance(value, float) else f"{name:<28} {value}" for name, value in rows.items()]
    data = {"spectrum": spectrum, "mask_ratio": advice.to_uns(), "law": advice.law, "verdict": advice.verdict}
    return Found("\n".join([*lines, "", advice.verdict]), data)
