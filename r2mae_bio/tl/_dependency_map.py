"""``tl.dependency_map``: which base's prediction moves when another base is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.dna.scoring._dependency import dependencies

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from r2mae_bio.dna._protocols import LikelihoodModel
    from r2mae_bio.dna.genome._genome import Genome


@answers_misspelt
def dependency_map(
    region: str | tuple[str, int, int],
    genome: Genome | str | Path,
    model: LikelihoodModel | str | Path,
    *,
    context: int | None = None,
    strand: str = "both",
    batch_size: int | None = None,
) -> pd.DataFrame:
    """Find which bases of a region a model reads together: each base is replaced by each of the
    three others, and each base is hidden alone and predicted, before and after.

    The value of a pair is the largest change of log-odds, over the three substitutions of the one
    and the four bases that the other may be (Tomaz da Silva et al. 2025, "Nucleotide dependency
    analysis of genomic language models", whose models read the predicted base as well; here it is
    hidden). Bases that pair in a stem, or belong to one motif, stand out as lines and squares. A
    model with an alignment reads the columns of the region, which stay as they are.

    Parameters
    ----------
    region
        As for :func:`saturation_mutagenesis`, at most ``context`` bases, which are all read in one
        window around the region. The work grows with the square of their number.
    genome
        The genome, or the path of its FASTA file.
    model
        A model of DNA, such as ``DNAMAE``, or the folder of a saved one; a model of another package
        needs the members of :class:`r2mae_bio.dna._protocols.LikelihoodModel`.
    context
        Bases of the window, at most ``model.window``, which is the default. Beyond the ends of a
        contig it holds N.
    strand
        ``"both"`` for the mean of the predictions read from both strands, ``"+"`` for the forward
        one alone.
    batch_size
        Windows that the network reads at a time; as the model chooses if None.

    Returns
    -------
    float64 (L, L), log2 of odds ratios, at least 0: rows are the bases that are changed, columns
    those that are predicted, both by their position **from 1**. NaN on the diagonal, and where the
    changed base is not A, C, G or T. ``.attrs`` holds ``region`` (text, from 1), ``reference`` (its
    bases), ``model`` (checksum), ``context`` and ``strand``.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read, does not lie on the genome or is wider than the window.
    ConfigError
        ``context`` or ``strand`` cannot be used.
    SetupError
        The model does not predict DNA, or lacks the alignment that it reads.
    CheckpointError, FastaError, CacheError
        The model or the genome cannot be read.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=64, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> table = rb.tl.dependency_map("NC_001416.1:38,041-38,060", genome, model)
    >>> table.shape
    (20, 20)
    """
    check_strand(strand)
    opened = open_model(model, DNAMAE, "log_probs", what="model of DNA that reads sequences")
    return dependencies(region, as_genome(genome), opened, context=context, strand=strand, batch_size=batch_size)
