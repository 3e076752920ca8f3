"""``r2mae ism``: every base of a region predicted from its surroundings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio._progress import count_steps
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import given, open_genome, open_model
from r2mae_bio.cli.common._outputs import TABLES, write_table

EXAMPLE = """\
r2mae ism chr1:1,001-1,060 genome.fa.gz --model dna_model --out information.bedgraph
r2mae ism peaks.bed genome.fa.gz --model dna_model --out substitutions.csv"""

_SUFFIXES = (".bedgraph", ".bedgraph.gz", ".bg", ".bg.gz", *TABLES)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE)(ism)


def ism(
    job: Job,
    *,
    region: Annotated[
        str, typer.Argument(metavar="REGION | BED", help="chr1:1,001-1,060, counted from 1; a BED file; - is BED.")
    ],
    genome: options.Fasta,
    model: options.DNAModel,
    out: Annotated[str, typer.Option(help=".bedgraph or .bedgraph.gz (one column), .csv or .parquet (all); - is bedGraph.")],
    column: Annotated[str | None, typer.Option(help="Column of a bedGraph: information, entropy, llr_A, logp_A ...")] = None,
    track: Annotated[str | None, typer.Option(help="Name for a track line of a bedGraph.")] = None,
    context: options.Context = None,
    strand: options.Strand = None,
    stride: options.Stride = None,
    hidden_at_once: options.HiddenAtOnce = None,
    batch_size: options.BatchSize = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    device: options.Device = "auto",
) -> Found:
    """Predict every base of a region from its surroundings.

    Each base is hidden alone, unless --hidden-at-once says otherwise; values say how sure the model
    is, and what substitutions cost.
    """
    import pandas as pd

    from r2mae_bio import tl

    settings = given(context=context, strand=strand, stride=stride, hidden_at_once=hidden_at_once, batch_size=batch_size)
    known = open_genome(genome, aliases=aliases, synonyms=synonyms, circular=circular, cache_dir=cache_dir)
    with job.output(out, _SUFFIXES) as path:
        as_table = path.suffix in TABLES
        _check_track(column, track, as_table=as_table)
        regions, opened = _regions(region, known, once=not as_table), open_model(model, device)
        tables = []
        with count_steps("regions", len(regions), shown=job.shown) as advance:
            for one in regions:
                tables.append(tl.saturation_mutagenesis(one, known, opened, **settings))
                advance(1)
        table = pd.concat(tables, ignore_index=True)
        if as_table:
            write_table(table, path, index=False)
        else:
            tl.to_bedgraph(table, path, **given(column=column, track=track))
    text = f"wrote {out} ({len(table)} bases)"
    return Found("" if out == STREAM else text, {"out": out, "bases": len(table), "information": table["information"].mean()})


def _check_track(column: str | None, track: str | None, *, as_table: bool) -> None:
    """Refuse, before anything is predicted, what cannot be written of it."""
    from r2mae_bio.dna.scoring._saturation import COLUMNS
    from r2mae_bio.dna.tracks._tracks import track_line

    foreign = sorted(given(column=column, track=track))
    if as_table and foreign:
        message = (
            f"{', '.join(foreign)} given, which a table does not have, as it has all columns; leave out, or write .bedgraph."
        )
        raise ConfigError(message)
    if column is not None and column not in COLUMNS:
        message = f"column is {column!r}; needed is one of {', '.join(COLUMNS)}."
        raise ConfigError(message)
    track_line(track)


def _regions(text: str, genome: Any, *, once: bool) -> list[Any]:
    """One region as text, or those of a BED file; with ``once`` merged where they overlap, as a
    track has one value for each base.
    """
    from r2mae_bio.io import Intervals, read_regions

    if text != STREAM and not Path(text).expanduser().is_file() and not text.endswith((".bed", ".bed.gz")):
        return [text]
    if once:
        merged = Intervals.from_regions(genome, text)
        names = [genome.contigs[i] for i in merged.contig]
        return list(zip(names, merged.start.tolist(), merged.end.tolist(), strict=True))
    table = read_regions(text)
    return list(zip(table["chrom"], table["start"].tolist(), table["end"].tolist(), strict=True))
