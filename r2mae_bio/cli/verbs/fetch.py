"""``r2mae fetch``: the data sets of the documentation."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from r2mae_bio._files import whole_file
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._outputs import CELLS, write_cells

EXAMPLE = """\
r2mae fetch --list
r2mae fetch pbmc68k --out pbmc68k.h5ad"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE)(fetch)


def fetch(
    job: Job,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A data set of the registry.")] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where to put it (cells: .h5ad, .zarr); if not given, the path is printed.")
    ] = None,
    known_hash: Annotated[str | None, typer.Option(help="SHA-256 of a file whose hash is not registered.")] = None,
    cache_dir: Annotated[str | None, typer.Option(help="Folder for downloads.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the data sets.")] = False,
) -> Found:
    """Get a data set, checked by its hash."""
    from r2mae_bio import datasets

    known = datasets.registry()
    if list_:
        lines = [
            f"{entry.name:<22} {entry.kind:<8} {entry.form:<10} {' x '.join(map(str, entry.shape)):<14} {entry.licence}"
            for entry in known.values()
        ]
        return Found("\n".join(lines), {"datasets": [asdict(entry) for entry in known.values()]})
    if name is None:
        message = "NAME is missing; --list shows what there is."
        raise typer.BadParameter(message)
    entry = known.get(name)
    if entry is not None and entry.form == "cells" and entry.loader == name and out is not None:
        place = {} if entry.kind == "embedded" else {"cache_dir": cache_dir}
        with job.output(out, CELLS) as path:
            write_cells(getattr(datasets, name)(**place), path)
        return Found("" if out == STREAM else f"wrote {out}", {"out": out})
    file = datasets.fetch(name, cache_dir=cache_dir, known_hash=known_hash)
    if out is None:
        return Found(str(file), {"path": str(file)})
    with job.output(out, ("",)) as path, whole_file(Path(path)) as temporary:
        shutil.copyfile(file, temporary)
    return Found("" if out == STREAM else f"wrote {out}", {"out": out})
