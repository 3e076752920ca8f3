"""``r2mae compare``: R2MAE beside its controls, as a report."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._console import say
from r2mae_bio.cli.common._inputs import given, read_cells

EXAMPLE = "r2mae compare cells.h5ad --labels-key group --layer counts --tasks panels --max-epochs 1 --out report"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, holds=("report.html",))(compare)


def compare(
    job: Job,
    *,
    adata: options.Cells,
    labels_key: Annotated[str, typer.Option(help="Column of .obs with the classes.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder to make for the report.")],
    batch_key: options.BatchKey = None,
    groups_key: Annotated[str | None, typer.Option(help="Column of .obs with donors or studies to hold out.")] = None,
    layer: options.Layer = None,
    methods: Annotated[
        list[str] | None, typer.Option(help="Beginning of the name of a method in the report; repeatable.")
    ] = None,
    panels: Annotated[list[float] | None, typer.Option(help="Share of the genes that a panel measures; repeatable.")] = None,
    n_variable: Annotated[int | None, typer.Option(help="Genes of a panel of the most variable ones.")] = None,
    seeds: Annotated[list[int] | None, typer.Option(help="Seed; repeatable.")] = None,
    tasks: Annotated[list[str] | None, typer.Option(help="panels, depth, denoising or integration; repeatable.")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Epochs of all networks, for a quick look.")] = None,
) -> Found:
    """Compare R2MAE with its controls on cells of your own.

    PCA, factor analysis, scVI and others see the same cells, by the same tasks and seeds.
    """
    from r2mae_bio import evaluate

    if out == STREAM:
        message = "--out is '-', and a report is a folder; name one."
        raise ConfigError(message)
    settings = given(
        batch_key=batch_key, groups_key=groups_key, layer=layer, panels=panels, n_variable=n_variable, seeds=seeds, tasks=tasks
    )
    with job.input(adata, ".h5ad") as file:
        cells = read_cells(file)
    chosen = None if methods is None and max_epochs is None else _methods(cells, methods, max_epochs)
    started = time.perf_counter()

    def tell(line: str) -> None:
        if not job.quiet:
            say(f"[{time.perf_counter() - started:5.0f} s] {line}")

    result = evaluate.compare(cells, labels_key=labels_key, methods=chosen, on_result=tell, **settings)
    folder = result.save(Path(out), overwrite=job.overwrite)
    summary = {task: frame.to_dict(orient="records") for task, frame in result.summary().items()}
    return Found(f"wrote {folder}/report.html", {"out": out, "settings": result.settings, "summary": summary})


def _methods(cells: Any, names: list[str] | None, max_epochs: int | None) -> list[Any]:
    """The methods asked for, trained for so many epochs."""
    from r2mae_bio import evaluate

    known = evaluate.default_methods(min(cells.n_obs // 2, cells.n_vars) - 1)
    found = [_find(name, known) for name in names or ()] or known
    return [_shortened(method, max_epochs) for method in found]


def _find(name: str, known: Sequence[Any]) -> Any:
    """The method whose name is this one, or alone begins so."""
    begin = [method for method in known if method.name.lower().startswith(name.lower())]
    exact = [method for method in begin if method.name == name]
    if len(exact or begin) != 1:
        message = (
            f"methods has {name!r}, which is the beginning of {len(begin)} names; choose from {'; '.join(m.name for m in known)}."
        )
        raise ConfigError(message)
    return (exact or begin)[0]


def _shortened(method: Any, max_epochs: int | None) -> Any:
    from r2mae_bio import evaluate

    if max_epochs is None:
        return method
    if isinstance(method, evaluate.SCVI):
        return replace(method, max_epochs=max_epochs)
    if isinstance(method, evaluate.MaskedAutoencoder) and method.trained:
        return replace(method, train_kwargs={**method.train_kwargs, "max_epochs": max_epochs})
    return method
