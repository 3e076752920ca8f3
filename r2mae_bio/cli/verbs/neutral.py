"""``r2mae neutral``: what a model of DNA says of substitutions where nothing selects."""

from typing import Annotated, Any

import typer

from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import given, open_genome, open_model

EXAMPLE = "r2mae neutral genome.fa.gz --model dna_model --exclude genes.gff3.gz --margin 100 --out neutral.json"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE)(neutral)


def neutral(
    job: Job,
    *,
    genome: options.Fasta,
    model: options.DNAModel,
    out: Annotated[str, typer.Option(help=".json, for the option --neutral of score; - is standard output.")],
    neutral: Annotated[str | None, typer.Option(help="soft-masked (the default), or BED of neutral regions.")] = None,
    exclude: Annotated[str | None, typer.Option(help="GFF, GTF or BED of what sites keep away from.")] = None,
    margin: Annotated[int | None, typer.Option(help="How far they keep away from it, bp.")] = None,
    n_sites: Annotated[int | None, typer.Option(help="Sites to score.")] = None,
    context: options.Context = None,
    batch_size: options.BatchSize = None,
    seed: options.Seed = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    device: options.Device = "auto",
) -> Found:
    """Mean scores of substitutions by context at neutral sites.

    With it, score --neutral writes how much an allele differs from what mutation alone leads to.
    """
    from r2mae_bio import tl

    settings: dict[str, Any] = given(
        neutral=neutral, exclude=exclude, margin=margin, n_sites=n_sites, context=context, batch_size=batch_size, seed=seed
    )
    opened = open_genome(genome, aliases=aliases, synonyms=synonyms, circular=circular, cache_dir=cache_dir)
    with job.output(out, (".json",)) as path:
        found = tl.neutral_expectation(opened, open_model(model, device), progress_bar=job.in_terminal, **settings)
        found.save(path)
    text = f"wrote {out} ({found.n_sites:,} of {found.n_available:,} sites)"
    return Found("" if out == STREAM else text, {"out": out, "n_sites": found.n_sites, "n_available": found.n_available})
