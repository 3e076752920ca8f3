"""Which base's prediction moves when another base is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import RegionError
from r2mae_bio.dna._aligned import bases_of, columns_over, with_columns
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases
from r2mae_bio.dna.regions._text import parse_region
from r2mae_bio.dna.scoring._pseudo_likelihood import read_windows
from r2mae_bio.dna.scoring._saturation import choose_context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import LikelihoodModel
    from r2mae_bio.dna.genome._genome import Genome

_QUESTIONS_AT_ONCE: Final = 1 << 14


def dependencies(
    region: Any, genome: Genome, model: LikelihoodModel, *, context: int | None, strand: str, batch_size: int | None
) -> pd.DataFrame:
    """How far each base of a region moves the prediction of each other one.

    Parameters
    ----------
    region
        See :func:`parse_region`.
    genome
        The genome.
    model
        The model.
    context
        Bases of the window; as many as the model reads if None.
    strand, batch_size
        Passed to the model.

    Returns
    -------
    See :func:`r2mae_bio.tl.dependency_map`.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read, does not lie on the genome or is wider than the window.
    ConfigError
        ``context`` cannot be used.
    SetupError
        The model reads an alignment, which is not at hand.
    """
    context = choose_context(context, model.window)
    chrom, start, end = parse_region(region)
    reference = genome.fetch(chrom, start, end).upper()
    width, contig = end - start, genome.contig_index(chrom)
    if width > context:
        message = f"The region has {width} bases; needed are at most {context}, which is the window. Take a shorter one."
        raise RegionError(message)
    before = (context - width) // 2
    starts, columns = np.array([start - before]), columns_over(model, genome)
    window = encode_bases(genome.windows(starts, context, contigs=contig, outside="N"))
    window = (window if columns is None else with_columns(window, columns.windows(starts, context, contigs=contig)))[0]
    at = before + np.arange(width)
    odds = _log_odds(model, window[None], at, strand=strand, batch_size=batch_size)[0]
    moved = np.full((width, width), np.nan)
    step = max(1, _QUESTIONS_AT_ONCE // (3 * width))
    for first in range(0, width, step):
        owners, windows = _replaced(window, at[first : first + step])
        found = np.abs(_log_odds(model, windows, at, strand=strand, batch_size=batch_size) - odds).max(axis=2)
        for i in np.unique(owners).tolist():
            moved[first + i] = found[owners == i].max(axis=0) / np.log(2)
    np.fill_diagonal(moved, np.nan)
    places = pd.Index((np.arange(start, end)) % genome.lengths[contig] + 1, name="pos")
    table = pd.DataFrame(moved, index=places, columns=places.rename("predicted"))
    text = f"{genome.contigs[contig]}:{start + 1}-{end}"
    table.attrs.update(region=text, reference=reference, model=model.checksum(), context=context, strand=strand)
    return table


def _replaced(window: NDArray[np.uint8], at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The window with each known base at ``at`` replaced by the three others, (n, L) or
    (n, L, 1 + S), and which of these bases it is, (n,).
    """
    known = bases_of(window[None])[0, at]
    owners, others = np.nonzero((known[:, None] != np.arange(UNKNOWN)) & (known < UNKNOWN)[:, None])
    windows = np.repeat(window[None], owners.size, axis=0)
    bases_of(windows)[np.arange(owners.size), at[owners]] = others
    return owners, windows


def _log_odds(model: LikelihoodModel, windows: NDArray[np.uint8], at: NDArray[np.int64], **settings: Any) -> NDArray[np.float64]:
    """Log-odds (n, m, 4) of each base at ``at``, hidden alone, in windows (n, L) or
    (n, L, 1 + S).
    """
    if not len(windows):
        return np.empty((0, at.size, UNKNOWN))
    hidden = np.repeat(np.arange(len(windows)), at.size), np.tile(at, len(windows))
    found = read_windows(model, windows, hidden=hidden, **settings).log_probs.astype(np.float64)
    # the odds against the three others, whose probabilities are added: 1 - p would lose digits
    against = [np.logaddexp.reduce(np.delete(found, base, axis=1), axis=1) for base in range(UNKNOWN)]
    return (found - np.stack(against, axis=1)).reshape(len(windows), at.size, UNKNOWN)
