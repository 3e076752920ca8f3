"""All alleles of an input scored, into a table or a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import overlapping
from r2mae_bio._progress import count_steps
from r2mae_bio._runs._blocks import Work, by_blocks
from r2mae_bio.dna.genome._reference import GenomeReference
from r2mae_bio.dna.scoring._tally import Tally, check_contigs, check_count, count_records
from r2mae_bio.dna.scoring._values import NUMBERS, score_batch, value_fields
from r2mae_bio.dna.variants._table import read_variants
from r2mae_bio.dna.variants._vcf_write import VariantWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import PlacedModel, VariantModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.scoring._settings import ScoreSettings
    from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader
    from r2mae_bio.dna.variants._vcf_header import InfoField

Values: TypeAlias = "dict[str, NDArray[Any]]"

RECORDS: Final = 512
"""Records scored together; so many, and five seconds, are lost at most when a process is killed."""


def score_records(
    variants: Path | str | pd.DataFrame,
    genome: Genome,
    model: VariantModel | PlacedModel,
    settings: ScoreSettings,
    *,
    out: Path | None,
    prefix: str,
    resume: bool,
    overwrite: bool,
    progress_bar: bool,
    client: Any = None,
    region: Any = None,
) -> pd.DataFrame | Path:
    """Score all records.

    Parameters
    ----------
    variants
        The input, see :func:`r2mae_bio.io.read_variants`.
    genome
        The genome; its content decides whether a run may go on.
    model
        The model; its checksum does, too.
    settings
        How alleles are scored.
    out
        The output; None for a table.
    prefix
        What the names of INFO fields begin with.
    resume
        Go on with what an interrupted run left.
    overwrite
        Replace a complete output.
    progress_bar
        Show progress.
    client
        A ``dask.distributed.Client`` whose workers score; this process if None.
    region
        Which records; all if None.

    Returns
    -------
    The output, or one row per allele; see :func:`r2mae_bio.tl.score_variants`.
    """
    _check_kept(variants, out, region)
    reader = read_variants(variants, batch_size=RECORDS, region=region, genome=genome)
    as_table = out is None or out.suffix.lower() == ".parquet"
    fields = value_fields(settings, prefix=None if as_table else prefix)
    as_bcf = out is not None and out.suffix.lower() == ".bcf"
    # damage is found here, not after hours
    records = count_records(reader, () if as_table else fields, as_bcf=as_bcf)
    check_contigs(records, reader.header.contigs, genome)
    n_records, tally, work = records.total(), Tally(genome), _Scoring(genome, model, settings)

    def scored(batches: Iterable[VariantBatch], advance: Callable[[int], None]) -> Iterator[tuple[VariantBatch, Values]]:
        for batch, values in by_blocks(work, batches, client):
            tally.add(batch, values["status"])
            yield batch, values
            advance(batch.n_records)

    count = partial(count_steps, "variants", n_records, unit="records", shown=progress_bar)
    if out is None:
        with count() as advance:
            tables = [_empty(settings), *(_rows(batch, values) for batch, values in scored(reader, advance))]
        check_count(tally.n_records, n_records)
        tally.report()
        return pd.concat(tables[1:] or tables, ignore_index=True)
    with (
        _open_writer(out, reader, model, genome, settings, fields=fields, resume=resume, overwrite=overwrite) as writer,
        count(done=writer.n_records) as advance,
    ):
        names = [field.name for field in fields]
        for batch, values in scored(reader.batches(skip=writer.n_records), advance):
            # the fields are those of the values, in the same order
            writer.write(batch, dict(zip(names, values.values(), strict=True)))
        check_count(writer.n_records, n_records)
    tally.report()
    return out


def _check_kept(variants: Path | str | pd.DataFrame, out: Path | None, region: Any) -> None:
    """Refuse to replace the input by less than it has."""
    if out is None or isinstance(variants, pd.DataFrame) or (region is None and out.suffix.lower() != ".parquet"):
        return
    if overlapping(out, [Path(variants).expanduser()]) is not None:
        what = "a table without their other columns" if region is None else f"those in {region}"
        message = f"out is {str(out)!r}, which has the variants that are read; {what} would be left of them. Name another one."
        raise ConfigError(message)


@dataclass(eq=False)
class _Scoring(Work):
    """Values of the alleles of some records."""

    genome: Genome
    model: VariantModel | PlacedModel
    settings: ScoreSettings

    def open(self) -> Callable[[VariantBatch], Iterator[Values]]:
        """Open the genome."""
        reference = GenomeReference(self.genome)
        return lambda batch: iter([score_batch(batch, self.genome, reference, self.model, self.settings)])


def _rows(batch: VariantBatch, values: Values) -> pd.DataFrame:
    site = {
        "record": batch.start + batch.record,
        "alt_index": batch.alt_index.astype("int32"),
        "chrom": batch.allele_chrom,
        "pos": batch.allele_pos,
        "id": [batch.id[r] for r in batch.record.tolist()],
        "ref": batch.allele_ref,
        "alt": batch.alt,
    }
    return pd.DataFrame({**site, **{name: v.astype(object) if name not in NUMBERS else v for name, v in values.items()}})


def _empty(settings: ScoreSettings) -> pd.DataFrame:
    text = pd.Series(["A"]).dtype  # object, and str from pandas 3 on, as in a table of rows
    types = {"record": "int64", "alt_index": "int32", "chrom": text, "pos": "int64", "id": text, "ref": text, "alt": text}
    types |= {field.name: "float32" if field.name in NUMBERS else text for field in value_fields(settings, prefix=None)}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


def _open_writer(
    path: Path,
    reader: VariantReader,
    model: VariantModel | PlacedModel,
    genome: Genome,
    settings: ScoreSettings,
    *,
    fields: Sequence[InfoField],
    resume: bool,
    overwrite: bool,
) -> VariantWriter:
    """Open the output, or what an interrupted run left of it."""
    checksum = model.checksum()
    opened = genome.__getstate__()
    identity = {
        "model": checksum,
        "genome": genome.cache.name,  # a hash of the content of its files
        "genome aliases": opened["aliases"],
        "genome circular": opened["circular"],
        "records": RECORDS,
        **settings.identity(),
    }
    note = (
        f"##r2mae_bio_score_variants=model {checksum}, context {settings.context} bp, flank {settings.flank} bp, "
        f"changes of up to {settings.max_length} bp{_extras(settings)}"
    )
    return VariantWriter(
        path,
        reader.header,
        fields,
        fingerprint=reader.fingerprint(),
        settings=identity,
        extra_header=[note],
        resume=resume,
        overwrite=overwrite,
    )


def _extras(settings: ScoreSettings) -> str:
    """What was computed on request, for the header."""
    text = ""
    if settings.neutral is not None:
        text += f", calibrated on {settings.neutral.n_sites} sites ({settings.neutral.sites})"
    return text + (f", {settings.n_masks} masks with {settings.mask_ratio}" if settings.n_masks else "")
