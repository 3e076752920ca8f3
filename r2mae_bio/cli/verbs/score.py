"""``r2mae score``: what a model of DNA says of the alleles of a VCF file."""

from typing import Annotated, Any

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import as_ratio, given, open_genome, open_model

EXAMPLE = "r2mae score cohort.vcf.gz genome.fa.gz --model dna_model --out scored.vcf.gz"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, keeps=_kept)(score)


def _kept(given: dict[str, Any]) -> str:
    """The variants, if the result has every record of them as it was."""
    return "" if given["region"] is not None or given["out"].endswith(".parquet") else "variants"


def score(
    job: Job,
    *,
    variants: Annotated[
        str, typer.Argument(metavar="VCF", help="Variants: VCF, plain, gzip or bgzip, or BCF; - is standard input.")
    ],
    genome: options.Fasta,
    model: options.DNAModel,
    out: Annotated[
        str, typer.Option(help=".vcf, .vcf.gz, .vcf.bgz or .bcf (every record, with INFO fields), .parquet; - is VCF.")
    ],
    region: Annotated[str | None, typer.Option(help="Only records that overlap it: chr20:1-1000000, counted from 1.")] = None,
    prefix: Annotated[str | None, typer.Option(help="What names of INFO fields begin with.")] = None,
    context: options.Context = None,
    flank: Annotated[int | None, typer.Option(help="Bases scored on either side of an insertion or deletion.")] = None,
    embedding_distance: Annotated[bool | None, typer.Option(help="Compute it; without it SNVs take a third of the time.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Most bases that a scored allele removes or inserts.")] = None,
    batch_size: options.BatchSize = None,
    neutral: Annotated[str | None, typer.Option(metavar="FILE.json", help="What r2mae neutral wrote: calibrated scores.")] = None,
    n_masks: Annotated[int | None, typer.Option(help="Random masks under which SNVs are scored again; even.")] = None,
    mask_ratio: Annotated[str | None, typer.Option(help="Share that they hide: 0,1 (the default) or a number.")] = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    device: options.Device = "auto",
    resume: Annotated[bool, typer.Option(help="Go on with what an interrupted run left, or begin anew.")] = True,
) -> Found:
    """Score every allele of a VCF file by a model of DNA.

    Every record is kept, in order. Interrupted and started again, the same command goes on and
    gives the same bytes.
    """
    from r2mae_bio import tl

    if mask_ratio is not None and not n_masks:
        message = "mask_ratio given without n_masks, and there are no masks without; pass --n-masks, or leave it out."
        raise ConfigError(message)
    settings: dict[str, Any] = given(
        region=region,
        prefix=prefix,
        context=context,
        flank=flank,
        embedding_distance=embedding_distance,
        max_length=max_length,
        batch_size=batch_size,
        neutral=neutral,
        n_masks=n_masks,
        mask_ratio=as_ratio(mask_ratio),
    )
    opened = open_genome(genome, aliases=aliases, synonyms=synonyms, circular=circular, cache_dir=cache_dir)
    with job.output(out, (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf", ".parquet")) as path:
        tl.score_variants(
            variants,
            opened,
            open_model(model, device),
            out=path,
            overwrite=job.overwrite,
            resume=resume,
            progress_bar=job.in_terminal,
            **settings,
        )
    return Found("" if out == STREAM else f"wrote {out}", {"out": out})
