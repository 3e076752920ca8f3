"""Every base of a region hidden alone and predicted from its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna._aligned import columns_over, with_columns
from r2mae_bio.dna.genome._bases import encode_bases
from r2mae_bio.dna.regions._text import parse_region
from r2mae_bio.dna.scoring._placed import is_placed, log_probs_of_places
from r2mae_bio.dna.scoring._pseudo_likelihood import read_windows, unique_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import LikelihoodModel, PlacedModel
    from r2mae_bio.dna.genome._genome import Genome

BASES: Final = "ACGT"
_NUMBERS_AT_ONCE: Final = 1 << 22
"""Log-probabilities that a model is asked for at once, 16 MiB of float32."""


def saturate(
    region: Any, genome: Genome, model: LikelihoodModel | PlacedModel, *, context: int | None, strand: str, batch_size: int | None
) -> pd.DataFrame:
    """Probabilities of every base of a region, and what they say of its substitutions.

    Parameters
    ----------
    region
        See :func:`parse_region`.
    genome
        The genome.
    model
        The model.
    context
        Bases of a window; as many as the model reads if None.
    strand, batch_size
        Passed to the model.

    Returns
    -------
    One row per base; see :func:`r2mae_bio.tl.saturation_mutagenesis`.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read or does not lie on the genome.
    ConfigError
        ``context`` cannot be used.
    """
    context = choose_context(context, model.window)
    chrom, start, end = parse_region(region)
    letters = genome.fetch(chrom, start, end).upper()
    contig = genome.contig_index(chrom)
    places = np.arange(start, end)
    log_p = predict_bases(genome, contig, places, model, context=context, strand=strand, batch_size=batch_size)
    table = pd.DataFrame({"ref": list(letters), **base_values(encode_bases(letters), log_p.astype(np.float64))})
    table.insert(0, "chrom", genome.contigs[contig])
    table.insert(1, "pos", np.arange(start, end) % genome.lengths[contig] + 1)
    text = f"{genome.contigs[contig]}:{start + 1}-{end}"
    table.attrs.update(region=text, model=model.checksum(), context=context, strand=strand)
    return table


def choose_context(context: int | None, window: int) -> int:
    """Width of a window: what was asked for, or what the model reads.

    Parameters
    ----------
    context
        What the user asked for.
    window
        What the model reads.

    Returns
    -------
    Bases of a window.

    Raises
    ------
    ConfigError
        It cannot be used.
    """
    if context is None:
        return window
    if isinstance(context, bool) or not isinstance(context, int | np.integer) or not 1 <= context <= window:
        message = f"context={context!r}; needed is a whole number of bases from 1 to {window}, the model's window."
        raise ConfigError(message)
    return int(context)


def predict_bases(
    genome: Genome,
    contig: int,
    positions: NDArray[np.int64],
    model: LikelihoodModel | PlacedModel,
    *,
    context: int,
    strand: str,
    batch_size: int | None,
    stride: int = 1,
) -> NDArray[np.floating[Any]]:
    """Log-probabilities of bases that are hidden one at a time.

    Parameters
    ----------
    genome
        The genome.
    contig
        Position of the contig in ``genome.contigs``.
    positions
        Places on the contig, from 0, in ascending order, (n,); beyond the end of a circle they go
        on.
    model
        The model.
    context
        Bases of a window.
    strand, batch_size
        Passed to the model.
    stride
        Neighbouring bases that are asked of one window, which lies around the middle of them; they
        are counted from the start of the contig, so a base has its window whoever else is asked
        for.

    Returns
    -------
    Nats, (n, 4), as precise as the model gives them.
    """
    if is_placed(model):
        return log_probs_of_places(model, genome, np.full(positions.shape, contig), positions, np.ones(positions.shape, bool))
    columns, before = columns_over(model, genome), context // 2 - stride // 2
    groups, group = np.unique(positions // stride, return_inverse=True)
    rows = max(1, _NUMBERS_AT_ONCE // (len(BASES) * context * stride))
    found = [np.empty((0, len(BASES)), np.float32)]
    for first in range(0, groups.size, rows):
        starts = groups[first : first + rows] * stride - before
        codes = encode_bases(genome.windows(starts, context, contigs=contig, outside="N"))
        if columns is not None:
            codes = with_columns(codes, columns.windows(starts, context, contigs=contig))
        windows, which = unique_windows(codes)
        here = slice(*np.searchsorted(group, [first, first + rows]))
        number = group[here] - first
        hidden = which[number], positions[here] - starts[number]
        found.append(read_windows(model, windows, hidden=hidden, strand=strand, batch_size=batch_size).log_probs)
    return np.concatenate(found)


def base_values(codes: NDArray[np.uint8], log_p: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What probabilities of hidden bases say of these and of their substitutions.

    Parameters
    ----------
    codes
        The bases of the genome, (n,).
    log_p
        Log-probabilities of A, C, G and T, nats, (n, 4).

    Returns
    -------
    The numbers of :func:`r2mae_bio.tl.saturation_mutagenesis`, each (n,).
    """
    known = codes < len(BASES)
    reference = np.where(known, log_p[np.arange(codes.size), codes.astype(np.int64) * known], np.nan)
    ratios = log_p - reference[:, None]
    entropy = -np.sum(np.exp(log_p) * log_p, axis=1)
    columns = {f"logp_{base}": log_p[:, i] for i, base in enumerate(BASES)}
    columns |= {f"llr_{base}": ratios[:, i] for i, base in enumerate(BASES)}
    return {**columns, "entropy": entropy, "information": 2 - entropy / np.log(2)}
