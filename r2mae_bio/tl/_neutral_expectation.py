"""``tl.neutral_expectation``: what a DNA model says of substitutions where nothing selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from r2mae_bio._runs._blocks import check_client
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.scoring._expect import expect
from r2mae_bio.dna.scoring._placed import method_asked_for
from r2mae_bio.dna.scoring._settings import choose_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distributed import Client

    from r2mae_bio.dna._protocols import PlacedModel, VariantModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.scoring._neutral import NeutralExpectation


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
