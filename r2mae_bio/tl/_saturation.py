"""``tl.saturation_mutagenesis``: every base of a region hidden alone and predicted from its
surroundings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, RegionError
from r2mae_bio.dna.genome._bases import encode_bases
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.tl._dna_models import open_genome, open_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import BaseModel
    from r2mae_bio.dna.genome._genome import Genome

BASES: Final = "ACGT"
_REGION: Final = re.compile(r"^(.+):(\d[\d,]*)-(\d[\d,]*)$")
_NUMBERS_AT_ONCE: Final = 1 << 22


def saturation_mutagenesis(
    region: str | tuple[str, int, int],
    genome: Genome | str | Path,
    model: BaseModel | str | Path,
    *,
    context: int | None = None,
    strand: str = "both",
    batch_size: int | None = None,
) -> pd.DataFrame:
    """Predict every base of a region from its surroundings, and so what each of its substitutions
    would cost.

    One base at a time is hidden in the middle of a window of ``context`` bases (``context // 2`` of
    them before it), all others are seen. Beyond the ends of a contig the window is filled with N;
    on a circular contig it goes round.

    Parameters
    ----------
    region
        Text such as ``"chr1:1,001-1,020"`` counts from 1 and includes both ends, as in samtools and
        genome browsers; a tuple ``("chr1", 1000, 1020)`` counts from 0 and excludes the end, as BED
        does. Both are the same 20 bases.
    genome
        The genome, or the path of its FASTA file.
    model
        A model of DNA, such as ``DNAMAE``, or the folder of a saved one.
    context
        Bases of a window, at most ``model.window``, which is the default.
    strand
        ``"both"`` for the mean of the predictions read from both strands, ``"+"`` for the forward
        one alone.
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

    ``.attrs`` holds ``region`` (text, from 1), ``model`` (checksum), ``context`` and ``strand``.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read or does not lie on the genome.
    ConfigError
        ``context`` or ``strand`` cannot be used.
    SetupError
        The model does not predict DNA.
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
    model, genome = open_model(model, "log_probs"), open_genome(genome)
    context = _choose_context(context, model.window)
    chrom, start, end = parse_region(region)
    letters = genome.fetch(chrom, start, end).upper()
    contig = genome.contig_index(chrom)
    log_p = _predict(genome, contig, np.arange(start, end), model, context=context, strand=strand, batch_size=batch_size)
    table = _tabulate(letters, log_p)
    table.insert(0, "chrom", genome.contigs[contig])
    table.insert(1, "pos", np.arange(start, end) % genome.lengths[contig] + 1)
    text = f"{genome.contigs[contig]}:{start + 1}-{end}"
    table.attrs.update(region=text, model=model.checksum(), context=context, strand=strand)
    return table


def parse_region(region: Any) -> tuple[str, int, int]:
    """Contig, first base from 0, and the base after the last.

    Parameters
    ----------
    region
        Text that counts from 1, or a tuple that counts from 0.

    Returns
    -------
    The three parts, 0-based and half-open.

    Raises
    ------
    RegionError
        It is neither, or holds no base.
    """
    if isinstance(region, str) and (match := _REGION.match(region)):
        first, last = (int(number.replace(",", "")) for number in match.groups()[1:])
        parts = match[1], first - 1, last
    elif isinstance(region, tuple | list) and len(region) == 3 and all(isinstance(n, int | np.integer) for n in region[1:]):
        parts = str(region[0]), int(region[1]), int(region[2])
    else:
        parts = "", 0, 0
    if not 0 <= parts[1] < parts[2]:
        message = (
            f"The region is {region!r}; needed is a text such as 'chr1:1001-1020', which counts from 1 and includes both ends, or a tuple "
            "such as ('chr1', 1000, 1020), which counts from 0 and excludes the end, with at least one base."
        )
        raise RegionError(message)
    return parts


def _choose_context(context: int | None, window: int) -> int:
    if context is None:
        return window
    if isinstance(context, bool) or not isinstance(context, int | np.integer) or not 1 <= context <= window:
        message = f"context={context!r}; needed is a whole number of bases from 1 to {window}, the model's window."
        raise ConfigError(message)
    return int(context)


def _predict(
    genome: Genome,
    contig: int,
    positions: NDArray[np.int64],
    model: BaseModel,
    *,
    context: int,
    strand: str,
    batch_size: int | None,
) -> NDArray[np.float64]:
    """Log-probabilities (L, 4) of single hidden bases."""
    middle = context // 2
    rows = max(1, _NUMBERS_AT_ONCE // (len(BASES) * context))
    found = []
    for first in range(0, positions.size, rows):
        starts = positions[first : first + rows] - middle
        codes = encode_bases(genome.windows(starts, context, contigs=contig, outside="N"))
        hidden = np.zeros(codes.shape, bool)
        hidden[:, middle] = True
        found.append(model.log_probs(codes, hidden, strand=strand, batch_size=batch_size)[:, middle])
    return np.concatenate(found).astype(np.float64)


def _tabulate(letters: str, log_p: NDArray[np.float64]) -> pd.DataFrame:
    codes = encode_bases(letters).astype(np.int64)
    known = codes < len(BASES)
    reference = np.where(known, log_p[np.arange(codes.size), codes * known], np.nan)
    ratios = log_p - reference[:, None]
    entropy = -np.sum(np.exp(log_p) * log_p, axis=1)
    columns: dict[str, Any] = {"ref": list(letters)}
    columns |= {f"logp_{base}": log_p[:, i] for i, base in enumerate(BASES)}
    columns |= {f"llr_{base}": ratios[:, i] for i, base in enumerate(BASES)}
    return pd.DataFrame({**columns, "entropy": entropy, "information": 2 - entropy / np.log(2)})
