"""``r2mae impute``: expected counts and their standard deviations."""

from typing import Annotated, Any

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import given, open_cells_model, read_cells
from r2mae_bio.cli.common._outputs import CELLS, TABLES, ZARR, write_cells, write_table

EXAMPLE = """\
r2mae impute query.h5ad --model model --out imputed.h5ad
r2mae impute query.h5ad --model model --genes G0 --genes G1 --out genes.csv"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, holds=ZARR)(impute)


def impute(
    job: Job,
    *,
    adata: options.Cells,
    model: options.CellsModel,
    out: Annotated[
        str, typer.Option(help=".h5ad or .zarr: means in X, deviations in layer sd; with --genes .csv, .parquet or -.")
    ],
    genes: Annotated[list[str] | None, typer.Option(help="Gene of the model, measured or not; repeatable.")] = None,
    n_masks: Annotated[int | None, typer.Option(help="Number of masks.")] = None,
    hide: Annotated[float | None, typer.Option(help="Share of the measured genes that a mask hides.")] = None,
    own_counts: Annotated[bool | None, typer.Option(help="Weigh predictions against the gene's own count.")] = None,
    unmeasured: Annotated[bool | None, typer.Option("--unmeasured", help="Also genes that have no column in the data.")] = None,
    reference: Annotated[str | None, typer.Option(help="Cells in which missing genes were measured: .h5ad or .zarr.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Write the data with sparse layers, without smaller counts.")] = None,
    key_added: options.KeyAdded = None,
    layer: options.Layer = None,
    seed: options.Seed = None,
    batch_size: options.BatchSize = None,
    duplicates: options.Duplicates = None,
    min_coverage: options.MinCoverage = None,
    device: options.Device = "auto",
) -> Found:
    """Denoise counts and fill in genes, with deviations.

    All genes are written block by block to a file that anndata reads; named ones to a table.
    """
    settings: dict[str, Any] = dict(locals())
    from r2mae_bio import tl

    no_setting = ("job", "adata", "model", "out", "reference", "device")
    settings = given(**{name: value for name, value in settings.items() if name not in no_setting})
    with job.output(out, TABLES if out == STREAM else (*CELLS, *TABLES)) as path:
        table = path.suffix in TABLES
        if table and not genes:
            message = f"--out {out} is a table, which holds the genes that are named; pass --genes, or write .h5ad or .zarr."
            raise ConfigError(message)
        opened = open_cells_model(model, device)
        with job.input(adata, ".h5ad") as file:
            cells = read_cells(file)
        known = None if reference is None else read_cells(reference)
        in_memory = table or threshold is not None
        store: dict[str, Any] = {} if in_memory else {"out": path, "overwrite": job.overwrite}
        tl.impute(cells, opened, reference=known, progress_bar=job.in_terminal, **settings, **store)
        if table:
            write_table(_table(cells, settings.get("key_added", "r2mae")), path)
        elif in_memory:
            write_cells(cells, path)
    data = {"out": out, "cells": cells.n_obs, "genes": genes or None}
    return Found("" if out == STREAM else f"wrote {out} ({cells.n_obs} cells)", data)


def _table(cells: Any, key: str) -> Any:
    mean, deviation = (cells.obsm[f"{key}_{name}"].add_suffix(f" {name}") for name in ("mean", "sd"))
    return mean.join(deviation).rename_axis("cell")
