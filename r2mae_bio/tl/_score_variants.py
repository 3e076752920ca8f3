"""``tl.score_variants``: what a DNA model says of the alleles of a VCF file or a table; and
``tl.neutral_expectation``: what it says where nothing selects.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2mae_bio._runs._blocks import check_client
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.scoring._expect import expect
from r2mae_bio.dna.scoring._neutral import NeutralExpectation
from r2mae_bio.dna.scoring._output import score_records
from r2mae_bio.dna.scoring._placed import method_asked_for
from r2mae_bio.dna.scoring._settings import choose_settings, with_extras

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from distributed import Client

    from r2mae_bio.dna._protocols import PlacedModel, VariantModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.masking._ratio import RatioLaw


@answers_misspelt
def score_variants(
    variants: str | Path | pd.DataFrame,
    genome: Genome | str | Path,
    model: VariantModel | PlacedModel | str | Path,
    *,
    out: str | Path | None = None,
    region: str | tuple[str, int, int] | None = None,
    prefix: str = "R2MAE",
    context: int | None = None,
    flank: int = 8,
    embedding_distance: bool = True,
    max_length: int | None = 50,
    batch_size: int | None = None,
    neutral: NeutralExpectation | str | Path | None = None,
    n_masks: int = 0,
    mask_ratio: float | tuple[float, float] | RatioLaw = (0.0, 1.0),
    aliases: Mapping[str, str] | None = None,
    overwrite: bool = False,
    resume: bool = True,
    client: Client | None = None,
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
        VCF file, plain, gzip or bgzip, BCF file, or table; see :func:`r2mae_bio.io.read_variants`.
        A file is read through once before scoring, so that damage is found at once.
    genome
        Genome, or the path of its FASTA file.
    model
        Model of DNA, such as ``DNAMAE``, or the folder of a saved one; a model of another package
        needs the members of :class:`r2mae_bio.dna._protocols.VariantModel`. One that knows bases
        by where they stand, such as :class:`r2mae_bio.io.ColumnFrequencies`, needs those of
        ``PlacedModel`` and ``embedding_distance=False``.
    out
        Output: ``.vcf``, ``.vcf.gz``, ``.vcf.bgz`` or ``.bcf`` (the input with INFO fields
        ``R2MAE_LLR`` and so on), or ``.parquet`` (one row per allele). It has its name only when it
        is complete; an interrupted run, started again as it was, goes on and gives the same bytes.
    region
        Score, and write, only the records that overlap it, such as ``"chr20:1-1000000"``; see
        :func:`r2mae_bio.io.read_variants`. Any name of the contig will do that the genome knows.
    prefix
        What the names of the INFO fields begin with; another one for each model that scores the
        same file.
    context
        Width of the windows, bp; by default ``model.window``. Beyond the ends of a contig they hold
        N; a circle that is not shorter is gone round.
    flank
        Bases scored on either side of a change that is not a single base, bp, at least 1.
    embedding_distance
        Whether to compute it; without it the model reads a third of the windows for an SNV.
    max_length
        Most bases that an allele may remove or insert to be scored, bp, ``context - 2 * flank`` at
        most. What REF and ALT share does not count.
    batch_size
        Windows the model reads at a time; it changes the values by rounding only.
    neutral
        What :func:`r2mae_bio.tl.neutral_expectation` found with this genome, model and context, or
        the file it was saved to: adds ``calibrated_llr``, which is ``llr`` minus the mean that the
        same substitution has in the same pentanucleotide at neutral sites. Where a base beside the
        site is not known, the trinucleotide or the substitution alone is looked at. Changes that
        are no SNV get none: no neutral sites tell what an insertion or a deletion would have.
    n_masks
        Random masks, an even number, under which each SNV is scored again with other bases of the
        window hidden as well; adds ``masked_llr`` and ``masked_llr_sd``. It takes as long as
        ``n_masks`` readings of the whole window. The masks are the same for all variants, every
        second one being the mirror image of the one before, so the strand does not matter.
    mask_ratio
        Share of bases that these masks hide: a number, a pair for a uniform law, or a law of
        :mod:`r2mae_bio.masking`.
    aliases
        Further names of contigs, ``{alias: name}``, where ``genome`` is a path.
    overwrite
        Replace ``out`` if it exists.
    resume
        Go on with what an interrupted run left; if false, begin anew.
    client
        A ``dask.distributed.Client``, whose workers score blocks of 512 records; they must see the
        genome and its cache under the same paths. Order and values are those of one process.
    progress_bar
        Show progress on standard error.

    Returns
    -------
    The path ``out``, or without it a table with one row per allele: ``record``, ``alt_index`` (from
    0), ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``, ``kind``
    (:class:`r2mae_bio.io.AlleleKind`), ``status`` (:class:`r2mae_bio.io.AlleleStatus`), and as
    float32 ``llr`` and ``abs_llr`` (nats), ``p_ref``, ``p_alt``, ``entropy`` (nats, of the four
    bases) and ``embedding_distance`` (Euclidean distance of the states of both windows, each
    averaged over its known bases); on request ``calibrated_llr``, ``masked_llr`` and
    ``masked_llr_sd`` (nats). Missing are all numbers where ``status`` is not ``ok``, and all but
    ``llr``, ``abs_llr`` and ``embedding_distance`` where ``kind`` is not ``snv``.

    Raises
    ------
    ConfigError
        A setting is out of range, ``out`` exists or has an unknown suffix, ``prefix`` cannot begin
        a name, the input holds fields of these names or would be replaced by less than it has, or
        ``neutral`` was made with another genome, model or context.
    VcfError
        The input is cut, damaged or no VCF.
    JournalError
        An unfinished output belongs to another input, model or setting.
    RegionError, UnknownContigError
        ``region`` is no region, or not one of the genome.
    FastaError, CheckpointError, SetupError
        The genome or the model cannot be read, it is no model of DNA, or it lacks the alignment
        that it reads.

    Warns
    -----
    UserWarning
        Before scoring: many records are on contigs that the genome does not have, the header has
        other lengths of contigs, or records hold numbers that a ``.bcf`` does not. After it:
        nothing was scored, or many alleles have a REF that the genome does not, or lie beyond the
        ends of their contigs. Many are a tenth, and ten, or more than half.

    Notes
    -----
    How many alleles have each status is logged at level INFO by the logger ``r2mae_bio``; a run
    that goes on counts those that it scores itself.

    A model that knows bases by where they stand is asked for the same positions; a base of the
    alternative haplotype that was inserted has no place, and what such a model says of it is its
    own affair.

    A model with an alignment reads the column of each base of either haplotype: where REF and ALT
    are of one length, ALT has the columns of REF; an inserted base has none, and the bases behind
    an insertion or a deletion keep theirs.

    A change that a repeat allows at several places is scored over all of them together, so the
    values depend on the two haplotypes alone, not on how the record is written. An allele that
    equals REF has ``llr`` and distance 0.
    """
    check_client(client)
    opened = cast("VariantModel | PlacedModel", open_model(model, DNAMAE, method_asked_for(model), what="model of DNA"))
    if embedding_distance:
        open_model(opened, DNAMAE, "states", what="model with states, or embedding_distance=False")
    settings = choose_settings(
        opened.window,
        context=context,
        flank=flank,
        max_length=max_length,
        embedding_distance=embedding_distance,
        batch_size=batch_size,
    )
    found = as_genome(genome, aliases)
    expected = NeutralExpectation.load(neutral) if isinstance(neutral, str | Path) else neutral
    settings = with_extras(settings, opened, found, neutral=expected, n_masks=n_masks, mask_ratio=mask_ratio)
    return score_records(
        variants,
        found,
        opened,
        settings,
        out=None if out is None else Path(out).expanduser(),
        prefix=prefix,
        resume=resume,
        overwrite=overwrite,
        progress_bar=progress_bar,
        client=client,
        region=region,
    )


@answers_misspelt
def neutral_expectation(
    genome: Genome | str | Path,
    model: VariantModel | PlacedModel | str | Path,
    *,
    neutral: Any = None,
    exclude: Any = None,
    margin: int = 1000,
    n_sites: int = 20_000,
    context: int | None = None,
    batch_size: int | None = None,
    aliases: Mapping[str, str] | None = None,
    seed: int = 0,
    client: Client | None = None,
    progress_bar: bool = True,
) -> NeutralExpectation:
    """Mean log-likelihood ratio of every substitution in every pentanucleotide, at sites of a
    genome at which nothing is expected of selection.

    A model of DNA learns what mutation favours as well as what selection keeps: a transition at CpG
    has a low ``llr`` where nothing depends on it. What it says at neutral sites is subtracted by
    ``tl.score_variants(..., neutral=)``. All three substitutions of ``n_sites`` sites are scored as
    there; the means of few sites are drawn to those of the trinucleotide, and these to those of the
    substitution, by as much as the data ask for (empirical Bayes). Both strands are one.

    Parameters
    ----------
    genome
        Genome, or the path of its FASTA file.
    model
        Model of DNA, or the folder of a saved one; see :func:`r2mae_bio.tl.score_variants`.
    neutral
        Where sites are neutral: ``"soft-masked"`` for bases in lower case (repeats), or regions as
        :func:`r2mae_bio.io.read_regions` takes them. By default the soft-masked bases; with
        ``exclude``, all bases.
    exclude
        What sites keep away from: a GFF or GTF file (``.gff``, ``.gff3``, ``.gtf``, also gzip) with
        the genes, whose rows all count but those of whole sequences, or regions.
    margin
        How far they keep away from it, bp.
    n_sites
        Sites to score, drawn without replacement; all there are, if these are fewer.
    context
        Width of the windows, bp, that of the scores which are to be calibrated; by default
        ``model.window``.
    batch_size
        Windows the model reads at a time.
    aliases
        Further names of contigs, ``{alias: name}``, where ``genome`` is a path.
    seed
        Seed of the draw.
    client
        A ``dask.distributed.Client``, as for :func:`r2mae_bio.tl.score_variants`.
    progress_bar
        Show progress on standard error.

    Returns
    -------
    The expectation: ``.table`` with counts, means and standard deviations in nats, ``.save(path)``
    and :meth:`r2mae_bio.io.NeutralExpectation.load`.

    Raises
    ------
    ConfigError
        A number is out of range.
    DataError
        There is no neutral site: the genome is not soft-masked, or the regions hold none.
    BedError, RegionError, UnknownContigError
        The regions cannot be read, or are not those of the genome.
    FastaError, CheckpointError, SetupError
        The genome or the model cannot be read, or it is no model of DNA.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> far = [("NC_001416.1", 22_000, 27_000)]  # few genes
    >>> options = {"n_sites": 200, "progress_bar": False}
    >>> found = rb.tl.neutral_expectation(genome, model, neutral=far, **options)
    >>> int(found.table["n"][:6].sum())  # the six substitutions, of 200 sites three each
    600
    """
    check_client(client)
    opened = cast("VariantModel | PlacedModel", open_model(model, DNAMAE, method_asked_for(model), what="model of DNA"))
    settings = choose_settings(
        opened.window, context=context, flank=1, max_length=1, embedding_distance=False, batch_size=batch_size
    )
    return expect(
        as_genome(genome, aliases),
        opened,
        settings,
        neutral="soft-masked" if neutral is None and exclude is None else neutral,
        exclude=exclude,
        margin=margin,
        n_sites=n_sites,
        seed=seed,
        client=client,
        progress_bar=progress_bar,
    )
