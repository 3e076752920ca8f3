"""``r2mae ism``: every base of a region predicted from its surroundings."""

from pathlib import Path
from typing import Annotated, Any

import typer

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
    model: options.Model,
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
        regions, opened = _regions(region), open_model(model, device)
        tables = []
        with count_steps("regions", len(regions), shown=job.shown) as advance:
            for one in regions:
                tables.append(tl.saturation_mutagenesis(one, known, opened, **settings))
                advance(1)
        table = pd.concat(tables, ignore_index=True)
        if path.suffix in TABLES:
            write_table(table, path, index=False)
        else:
            tl.to_bedgraph(table, path, **given(column=column, track=track))
    text = f"wrote {out} ({len(table)} bases)"
    return Found("" if out == STREAM else text, {"out": out, "bases": len(table), "information": table["information"].mean()})


def _regions(text: str) -> list[Any]:
    """One region as text, or those of a BED file."""
    from r2mae_bio.io import read_regions

    if text != STREAM and not Path(text).expanduser().is_file() and not text.endswith((".bed", ".bed.gz")):
        return [text]
    table = read_regions(text)
    return list(zip(table["chrom"], table["start"].tolist(), table["end"].tolist(), strict=True))
