"""``r2mae info``: what a model, a file of cells or a genome holds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio._errors import DataError
from r2mae_bio.cli.common._command import Found, Job, command
from r2mae_bio.cli.common._inputs import is_fasta, open_genome, open_model, read_cells
from r2mae_bio.cli.common._options import CacheDir

EXAMPLE = """\
r2mae info model
r2mae info cells.h5ad --json"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE)(info)


def info(
    job: Job,
    *,
    data: Annotated[
        str,
        typer.Argument(metavar="MODEL | CELLS | FASTA", help="A saved or ready-made model, cells (.h5ad, .zarr) or a genome."),
    ],
    cache_dir: CacheDir = None,
) -> Found:
    """Say what a model, a file of cells or a genome holds."""
    path = _path_of(data)
    if is_fasta(path.name):
        found = _of_genome(str(path), cache_dir)
    elif path.suffix in (".h5ad", ".zarr"):
        found = _of_cells(str(path))
    elif path.is_dir():
        found = _of_model(str(path))
    else:
        message = f"{path} is none of what is known here: a folder with a model, cells (.h5ad, .zarr), or FASTA."
        raise DataError(message)
    return Found("\n".join(f"{name:<18} {_shown(value)}" for name, value in found.items()), found)


def _path_of(data: str) -> Path:
    from r2mae_bio.models import path, registry

    found = Path(data).expanduser()
    if found.exists():
        return found
    if data not in registry():
        message = f"{found} does not exist; check the path. Ready-made models are {', '.join(registry())}."
        raise DataError(message)
    return path(data)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _of_model(path: str) -> dict[str, Any]:
    model = open_model(path, "cpu")
    record = model.record
    found: dict[str, Any] = {"kind": type(model).__name__}
    parameters = sum(p.numel() for p in model.network.parameters())
    found |= {"parameters": parameters, "epochs": len(record.history)}
    for name in ("is_trained", "mask_ratio", "blind_loss", "window", "floors", "batches", "classes"):
        if hasattr(model, name):
            value = getattr(model, name)
            found[name] = (
                list(value) if isinstance(value, tuple) else value if isinstance(value, int | float | list | dict) else str(value)
            )
    if hasattr(model, "vocabulary"):
        found |= {"genes": len(model.vocabulary), "layer": record.setup.layer, "batch_key": record.setup.batch_key}
    if record.history:
        found["last_epoch"] = {name: value for name, value in record.history[-1].items() if "-" not in name}  # not by ratio
    if hasattr(model, "checksum"):
        found["checksum"] = model.checksum()
    return found


def _of_cells(path: str) -> dict[str, Any]:
    from r2mae_bio.cells.read._uns import all_records

    adata = read_cells(path)
    found: dict[str, Any] = {"cells": adata.n_obs, "genes": adata.n_vars}
    found["raw counts in"] = [name or "X" for name in (None, *adata.layers) if _holds_counts(adata, name)]
    for name in ("layers", "obs", "var", "obsm", "varm"):
        found[name] = [str(key) for key in getattr(adata, name)]
    found["written by r2mae_bio"] = sorted(map(str, all_records(adata)))
    return found


def _holds_counts(adata: Any, layer: str | None) -> bool:
    from r2mae_bio.io import check_counts, get_matrix

    try:
        check_counts(get_matrix(adata, layer), where="", obs_names=adata.obs_names, var_names=adata.var_names)
    except DataError:
        return False
    return True


def _of_genome(path: str, cache_dir: str | None) -> dict[str, Any]:
    genome = open_genome(path, cache_dir=cache_dir)
    known = sum(contig.n_acgt for contig in genome.index)
    return {
        "contigs": len(genome.contigs),
        "bases": int(genome.lengths.sum()),
        "A, C, G or T": known,
        "soft-masked": sum(contig.n_soft_masked for contig in genome.index),
        "lengths": {name: int(length) for name, length in zip(genome.contigs, genome.lengths, strict=True)},
    }
