"""``r2mae track-merge``: tracks of what several runs predicted."""

from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import Found, Job, command

EXAMPLE = "r2mae track-merge parts/1.logp parts/2.logp --value llr_max --out tolerated.bedgraph.gz"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, writes=_files)(track_merge)


def _files(given: dict[str, Any]) -> list[Path]:
    """One for each value, if there are several."""
    from r2mae_bio.dna.scoring._track import target_files
    from r2mae_bio.dna.tracks._write import check_form

    out = Path(given["out"]).expanduser()
    check_form(out)
    return list(target_files(out, options.one_or_all(given["value"]), None).values())


def track_merge(
    job: Job,
    *,
    parts: Annotated[list[str], typer.Argument(metavar="LOGP...", help="Files of r2mae track --shard, in any order.")],
    out: Annotated[str, typer.Option(help=".bw, .bedgraph or .bedgraph.gz: a file for each value.")],
    value: options.TrackValues = None,
) -> Found:
    """Make tracks of the shards of a genome.

    Before, it is proven that the shards hold every base exactly once, and that one model, genome
    and setting made all of them.
    """
    from r2mae_bio import tl

    files = tl.merge_tracks(parts, out, value=options.one_or_all(value), overwrite=job.overwrite)
    return Found(f"wrote {', '.join(map(str, files))}", {"out": [str(path) for path in files]})
