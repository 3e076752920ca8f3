"""``r2mae track``: every base of a genome predicted into tracks for genome browsers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import Found, Job, command
from r2mae_bio.cli.common._inputs import given, open_genome, open_model

EXAMPLE = """\
r2mae track genome.fa.gz --model dna_model --value entropy_bits --out entropy.bedgraph.gz
r2mae track genome.fa.gz --model dna_model --regions peaks.bed --shard 1/2 --out shard_1.logp
r2mae track genome.fa.gz --model dna_model --stride 64 --hidden-at-once 8 --out fast.logp"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, writes=_files)(track)


def _files(given: dict[str, Any]) -> list[Path]:
    """One for each value, if there are several."""
    from r2mae_bio.dna.scoring._track import target_files

    value = options.one_or_all(given["value"])
    return list(target_files(Path(given["out"]).expanduser(), value, given["shard"]).values())


def track(
    job: Job,
    *,
    genome: options.Fasta,
    model: options.DNAModel,
    out: Annotated[str, typer.Option(help=".bw, .bedgraph or .bedgraph.gz: a file for each value; .logp: for track-merge.")],
    value: options.TrackValues = None,
    regions: Annotated[str | None, typer.Option(metavar="BED", help="Bases to predict; the whole genome if not given.")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Part I of N of the bases, from 1, into .logp.")] = None,
    context: options.Context = None,
    strand: options.Strand = None,
    stride: options.Stride = None,
    hidden_at_once: options.HiddenAtOnce = None,
    soft_masked: Annotated[bool | None, typer.Option(help="Whether bases in lower case get values; they do.")] = None,
    batch_size: options.BatchSize = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    device: options.Device = "auto",
    resume: Annotated[bool, typer.Option(help="Go on with what an interrupted run left, or begin anew.")] = True,
) -> Found:
    """Predict every base of a genome into browser tracks.

    Each base is hidden alone, unless --hidden-at-once says otherwise. Interrupted and started
    again, the same command goes on and gives the same bytes. With several values, their names stand
    in the names of the files.
    """
    from r2mae_bio import tl

    settings: dict[str, Any] = given(
        shard=shard,
        context=context,
        strand=strand,
        stride=stride,
        hidden_at_once=hidden_at_once,
        soft_masked=soft_masked,
        batch_size=batch_size,
    )
    known = open_genome(genome, aliases=aliases, synonyms=synonyms, circular=circular, cache_dir=cache_dir)
    files = tl.saturation_track(
        regions,
        known,
        open_model(model, device),
        out=out,
        value=options.one_or_all(value),
        resume=resume,
        overwrite=job.overwrite,
        progress_bar=job.shown,
        **settings,
    )
    return Found(f"wrote {', '.join(map(str, files))}", {"out": [str(path) for path in files]})
