"""``tl.score_variants``: what a DNA model says of the alleles of a VCF file or a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError
from r2mae_bio._progress import count_steps
from r2mae_bio.dna.genome._genome import Genome
from r2mae_bio.dna.genome._reference import GenomeReference
from r2mae_bio.dna.scoring._output import RECORDS, open_writer, score_table, score_to_file
from r2mae_bio.dna.scoring._values import ScoreSettings, score_batch
from r2mae_bio.dna.variants._table import read_variants
from r2mae_bio.tl._dna_models import open_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import VariantModel
    from r2mae_bio.dna.variants._batch import VariantBatch


def score_variants(
    variants: str | Path | pd.DataFrame,
    genome: Genome | str | Path,
    model: VariantModel | str | Path,
    *,
    out: str | Path | None = None,
    context: int | None = None,
    flank: int = 8,
    embedding_distance: bool = True,
    max_length: int | None = 50,
    batch_size: int | None = None,
    aliases: Mapping[str, str] | None = None,
    overwrite: bool = False,
    resume: bool = True,
    progress_bar: bool = True,
) -> pd.DataFrame | Path:
    """Score alleles by a masked DNA model: every record is kept, in order, and none of them ends
    the run.

    One base for another (``kind`` snv): the base is hidden in the window of ``context`` bases
    around it, and ``llr`` is log p(ALT) - log p(REF). All others: each base from ``flank`` before
    the change to ``flank`` after it is hidden alone in turn, in a window of the same width around
    the reference and around the alternative haplotype, and ``llr`` is the mean log-probability of
    the alternative bases minus that of the reference bases (pseudo-log-likelihood per base, Salazar
    et al. 2020). A negative ``llr`` says that the model expects REF. Both strands are read, and
    their log-probabilities averaged.

    Parameters
    ----------
    variants
        VCF file, plain, gzip or bgzip, or table; see :func:`r2mae_bio.io.read_variants`. A file is
        read through once before scoring, so that damage is found at once.
    genome
        Genome, or the path of its FASTA file.
    model
        Model, or the folder of a saved one.
    out
        Output: ``.vcf``, ``.vcf.gz`` or ``.vcf.bgz`` (the input with INFO fields ``R2MAE_LLR`` and
        so on), or ``.parquet`` (one row per allele). It has its name only when it is complete; an
        interrupted run, started again as it was, goes on and gives the same bytes.
    context
        Width of the windows, bp; by default ``model.window``. Beyond the ends of a contig they hold
        N; a circle that is not shorter is gone round.
    flank
        Bases scored on either side of a change that is not a single base, bp, at least 1.
    embedding_distance
        Whether to compute it; without it the model reads a third of the windows for an SNV.
    max_length
        Longest REF or ALT that is scored, bp, ``context - 2 * flank`` at most.
    batch_size
        Windows the model reads at a time; it changes the values by rounding only.
    aliases
        Further names of contigs, ``{alias: name}``, where ``genome`` is a path.
    overwrite
        Replace ``out`` if it exists.
    resume
        Go on with what an interrupted run left; if false, begin anew.
    progress_bar
        Show progress on standard error.

    Returns
    -------
    The path ``out``, or without it a table with one row per allele: ``record``, ``alt_index`` (from
    0), ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``, ``kind``
    (:class:`r2mae_bio.io.AlleleKind`), ``status`` (:class:`r2mae_bio.io.AlleleStatus`), and as
    float32 ``llr`` and ``abs_llr`` (nats), ``p_ref``, ``p_alt``, ``entropy`` (nats, of the four
    bases) and ``embedding_distance`` (Euclidean distance of the states of both windows, each
    averaged over its known bases). Missing are all numbers where ``status`` is not ``ok``, and
    ``p_ref``, ``p_alt`` and ``entropy`` where ``kind`` is not ``snv``.

    Raises
    ------
    ConfigError
        A setting is out of range, ``out`` exists or has an unknown suffix, or the input holds
        fields of these names.
    VcfError
        The input is cut, damaged or no VCF.
    JournalError
        An unfinished output belongs to another input, model or setting.
    FastaError, CheckpointError, SetupError
        The genome or the model cannot be read, or it is no model of DNA.

    Notes
    -----
    A change that a repeat allows at several places is scored over all of them together, so the
    values depend on the two haplotypes alone, not on how the record is written. An allele that
    equals REF has ``llr`` and distance 0.
    """
    scorer: VariantModel = open_model(model, "log_probs")
    settings = _settings(scorer, context, flank, max_length, embedding_distance=embedding_distance, batch_size=batch_size)
    bases = _as_genome(genome, aliases)
    reader = read_variants(variants, batch_size=RECORDS)
    n_records = sum(batch.n_records for batch in reader)
    reference = GenomeReference(bases)

    def score(batch: VariantBatch) -> dict[str, NDArray[Any]]:
        return score_batch(batch, bases, reference, scorer, settings)

    if out is None:
        with count_steps("variants", n_records, shown=progress_bar) as advance:
            return score_table(reader, settings, score, advance)
    with (
        open_writer(Path(out), reader, scorer, bases, settings, resume=resume, overwrite=overwrite) as writer,
        count_steps("variants", n_records, done=writer.n_records, shown=progress_bar) as advance,
    ):
        score_to_file(writer, reader, score, advance)
    return Path(out)


def _as_genome(genome: Genome | str | Path, aliases: Mapping[str, str] | None) -> Genome:
    if not isinstance(genome, Genome):
        return Genome(genome, aliases=aliases)
    if aliases is not None:
        message = "aliases were passed together with an open genome, which has its own; pass them to io.Genome(..., aliases=...)."
        raise ConfigError(message)
    return genome


def _settings(
    model: VariantModel,
    context: int | None,
    flank: int,
    max_length: int | None,
    *,
    embedding_distance: bool,
    batch_size: int | None,
) -> ScoreSettings:
    context = model.window if context is None else context
    if not 1 <= context <= model.window:
        message = f"context is {context} bp; the model reads windows of 1 to {model.window}. Leave it out for the widest."
        raise ConfigError(message)
    room = context - 2 * flank
    if flank < 1 or room < 1:
        message = f"flank is {flank} bp; needed is at least 1, and less than half of the context of {context} bp."
        raise ConfigError(message)
    for name, value in (("max_length", max_length), ("batch_size", batch_size)):
        if value is not None and value < 1:
            message = f"{name} is {value}; it must be at least 1, or None."
            raise ConfigError(message)
    longest = room if max_length is None else min(max_length, room)
    return ScoreSettings(context, flank, longest, embedding_distance, batch_size)
