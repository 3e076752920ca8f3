"""``tl.saturation_mutagenesis``: every base of a region hidden alone and predicted from its
surroundings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.dna.scoring._placed import method_asked_for
from r2mae_bio.dna.scoring._saturation import choose_saturation, saturate

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from r2mae_bio.dna._protocols import LikelihoodModel, PlacedModel
    from r2mae_bio.dna.genome._genome import Genome


@answers_misspelt
def saturation_mutagenesis(
    region: str | tuple[str, int, int],
    genome: Genome | str | Path,
    model: LikelihoodModel | PlacedModel | str | Path,
    *,
    context: int | None = None,
    strand: str = "both",
    stride: int = 1,
    hidden_at_once: int = 1,
    batch_size: int | None = None,
) -> pd.DataFrame:
    """Predict every base of a region from its surroundings, and so what each of its substitutions
    would cost.

    One base at a time is hidden in the middle of a window of ``context`` bases (``context // 2`` of
    them before it), all others are seen; ``stride`` and ``hidden_at_once`` save readings. Beyond
    the ends of a contig the window is filled with N; on a circular contig it goes round.

    Parameters
    ----------
    region
        Text such as ``"chr1:1,001-1,020"`` counts from 1 and includes both ends, as in samtools and
        genome browsers; a tuple ``("chr1", 1000, 1020)`` counts from 0 and excludes the end, as BED
        does. Both are the same 20 bases.
    genome
        The genome, or the path of its FASTA file.
    model
        A model of DNA, such as ``DNAMAE``, or the folder of a saved one; a model of another package
        needs the members of :class:`r2mae_bio.dna._protocols.LikelihoodModel`. One that knows bases
        by where they stand, such as :class:`r2mae_bio.io.ColumnFrequencies`, needs those of
        ``PlacedModel``; it reads no window, so the settings below do not matter to it.
    context
        Bases of a window, at most ``model.window``, which is the default.
    strand
        ``"both"`` for the mean of the predictions read from both strands, ``"+"`` for the forward
        one alone.
    stride
        Neighbouring bases that are asked of one window, at most ``context``, counted from the start
        of the contig. With 1 every base is in the middle of its own window. With more, a base is up
        to half as many away from the middle, and most readings are saved; numbers differ a little.
    hidden_at_once
        How many of the ``stride`` bases of a window are hidden in one reading, as far apart as they
        can be; 1 hides each alone. With ``stride=128, hidden_at_once=16``, eight readings, each
        without every eighth base, give the 128 bases of a window. Others are hidden along with a
        base whether or not they are asked for, so its numbers depend on nothing but its place.

        Values move little down to a spacing (``stride / hidden_at_once``) of about 8: on *E. coli*,
        128 and 16 were ten times as fast as 1 and 1 and lost 0.002 nats a base; a spacing of 4 lost
        0.007, of 2 0.04 (``benchmarks/results/saturation_track_cpu.md``). Fewer than about 8 at
        once are no faster than 1 with a network of the default kind, which reads for a base alone
        only what that base changes. Models that are read as a whole each time (``hiding="drop"``,
        and those without ``read_windows``) gain in full. A model trained at ratios drawn from 0 to
        1, as ``DNAMAE`` is by default, has learnt from windows with so many hidden bases; one
        trained at a fixed ratio of .15 lost as little where 16 of 256 were hidden.
    batch_size
        Windows that the network reads at a time; as the model chooses if None.

    Returns
    -------
    One row per base, in the order of the region, with the columns

    - ``chrom`` (str), ``pos`` (int64, **from 1**, as in VCF), ``ref`` (str, upper case);
    - ``logp_A``, ``logp_C``, ``logp_G``, ``logp_T`` (float64): log-probabilities in nats;
    - ``llr_A`` to ``llr_T`` (float64): log-likelihood ratios to the reference base in nats,
      ``log p(base) - log p(ref)``, 0 for the reference itself, negative for a substitution that the
      model finds less likely; NaN where the reference is not A, C, G or T;
    - ``entropy`` (float64): ``-sum p log p`` in nats, at most ``log 4``;
    - ``information`` (float64): ``2 - entropy / log 2`` in bits, the height of a sequence logo
      (Schneider and Stephens 1990, Nucleic Acids Res. 18:6097, without their small-sample
      correction).

    ``.attrs`` holds ``region`` (text, from 1), ``model`` (checksum), ``context``, ``strand``,
    ``stride`` and ``hidden_at_once``.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read or does not lie on the genome.
    ConfigError
        A setting cannot be used.
    SetupError
        The model does not predict DNA, or lacks the alignment that it reads.
    CheckpointError, FastaError, CacheError
        The model or the genome cannot be read.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> table = rb.tl.saturation_mutagenesis("NC_001416.1:38,041-38,100", genome, model)
    >>> len(table), "".join(table["ref"][:9])
    (60, 'ATGGAACAA')
    """
    check_strand(strand)
    opened = cast("LikelihoodModel | PlacedModel", open_model(model, DNAMAE, method_asked_for(model), what="model of DNA"))
    settings = choose_saturation(
        opened.window, context=context, strand=strand, stride=stride, hidden_at_once=hidden_at_once, batch_size=batch_size
    )
    return saturate(region, as_genome(genome), opened, settings)
