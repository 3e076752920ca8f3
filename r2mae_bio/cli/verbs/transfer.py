"""``r2mae transfer``: labels of a reference for other cells."""

from typing import Annotated, Any

import typer

from r2mae_bio._keys import KEYS
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import given, open_cells_model, read_cells
from r2mae_bio.cli.common._outputs import CELLS, TABLES, ZARR, write_cells, write_table

EXAMPLE = "r2mae transfer query.h5ad cells.h5ad --model model --labels-key group --reference-layer counts --out labels.csv"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, holds=ZARR, keeps=lambda given: "adata")(transfer)


def transfer(
    job: Job,
    *,
    adata: Annotated[str, typer.Argument(metavar="QUERY", help="Cells to label: .h5ad, .zarr, or - for h5ad.")],
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="Labelled cells: .h5ad or .zarr.")],
    model: options.CellsModel,
    out: Annotated[str, typer.Option(help=".csv or .parquet (a row for each cell), .h5ad or .zarr (the query); - is csv.")],
    labels_key: options.LabelsKey = None,
    groups_key: Annotated[str | None, typer.Option(help="Column with donors, held out whole in cross-validation.")] = None,
    correct_query: Annotated[bool | None, typer.Option(help="Take out what the query adds as a batch.")] = None,
    query_batch_key: Annotated[str | None, typer.Option(help="Column with batches of the query.")] = None,
    match_depth: Annotated[bool | None, typer.Option(help="Learn from the reference at the depth of the query.")] = None,
    match_shares: Annotated[bool | None, typer.Option(help="Estimate how frequent classes are in the query.")] = None,
    unknown_threshold: Annotated[float | None, typer.Option(help="Score above which a cell is of an unknown type.")] = None,
    key_added: options.KeyAdded = None,
    layer: options.Layer = None,
    reference_layer: Annotated[str | None, typer.Option(help="Layer of raw counts of the reference.")] = None,
    batch_size: options.BatchSize = None,
    duplicates: options.Duplicates = None,
    min_coverage: options.MinCoverage = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> Found:
    """Label cells by a reference, with calibrated confidence.

    A score says which cells may be of a type that the reference lacks.
    """
    settings: dict[str, Any] = dict(locals())
    from r2mae_bio import tl

    no_setting = ("job", "adata", "reference", "model", "out", "key_added", "device")
    settings = given(**{name: value for name, value in settings.items() if name not in no_setting})
    key = "r2mae_label" if key_added is None else key_added
    with job.output(out, (*TABLES, *CELLS)) as path:
        opened = open_cells_model(model, device)
        with job.input(adata, ".h5ad") as file:
            query = read_cells(file)
        tl.transfer_labels(query, read_cells(reference), model=opened, key_added=key, **settings)
        if path.suffix in CELLS:
            write_cells(query, path)
        else:
            write_table(_table(query, key), path)
    counts = query.obs[key].value_counts(dropna=False)
    data = {"out": out, "cells": query.n_obs, "labels": {str(label): int(n) for label, n in counts.items() if n}}
    text = f"wrote {out} ({query.n_obs} cells, mean confidence {query.obs[f'{key}_confidence'].mean():.2f})"
    return Found("" if out == STREAM else text, data)


def _table(query: Any, key: str) -> Any:
    """Labels, confidence, score for unknown types, and the probability of each class."""
    import pandas as pd

    from r2mae_bio.cells.read._uns import read_record

    classes = read_record(query, KEYS.transfer_labels, key)["classes"]
    frame = query.obs[[key, f"{key}_confidence", f"{key}_unknown"]].copy()
    frame.columns = ["label", "confidence", "unknown"]
    shares = pd.DataFrame(query.obsm[f"{key}_probabilities"], frame.index, [f"probability: {name}" for name in classes])
    return frame.join(shares).rename_axis("cell")
