"""Every base of a region hidden, alone or with others far from it, and predicted from its
surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna._aligned import columns_over, with_columns
from r2mae_bio.dna.genome._bases import encode_bases
from r2mae_bio.dna.regions._text import parse_region
from r2mae_bio.dna.scoring._placed import is_placed, log_probs_of_places
from r2mae_bio.dna.scoring._pseudo_likelihood import read_combs, read_windows, unique_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import LikelihoodModel, PlacedModel
    from r2mae_bio.dna.genome._genome import Genome

BASES: Final = "ACGT"
COLUMNS: Final = (*(f"logp_{base}" for base in BASES), *(f"llr_{base}" for base in BASES), "entropy", "information")
"""Numbers of each base, in the order of :func:`base_values`."""
_NUMBERS_AT_ONCE: Final = 1 << 22
"""Log-probabilities that a model is asked for at once, 16 MiB of float32."""


@dataclass(frozen=True)
class SaturationSettings:
    """Settings that were checked against the model."""

    context: int
    """Width of a window, bp."""
    strand: str
    """Strands that are read."""
    stride: int
    """Neighbouring bases asked of one window."""
    hidden_at_once: int
    """Most of them that are hidden in one reading."""
    batch_size: int | None
    """Windows the model reads at a time."""

    @property
    def before(self) -> int:
        """Bases of a window in front of those that are asked of it, which lie in its middle."""
        return self.context // 2 - self.stride // 2

    @property
    def spacing(self) -> int:
        """Bases from one that is hidden to the next; readings that a window takes."""
        return -(-self.stride // self.hidden_at_once)


def choose_saturation(
    window: int, *, context: int | None, strand: str, stride: int, hidden_at_once: int, batch_size: int | None
) -> SaturationSettings:
    """Fill in what the user left open, and refuse what cannot be.

    Parameters
    ----------
    window
        Longest window that the model reads, bp.
    context, strand, stride, hidden_at_once, batch_size
        See :func:`r2mae_bio.tl.saturation_mutagenesis`.

    Returns
    -------
    The settings.

    Raises
    ------
    ConfigError
        One of them cannot be used.
    """
    if batch_size is not None:
        check_batch_size(batch_size, "windows")
    context = choose_context(context, window)
    stride = _whole_number("stride", stride, context, "the context")
    wider = "the stride, as those hidden together are asked of one window. Pass a wider stride= to hide more"
    return SaturationSettings(context, strand, stride, _whole_number("hidden_at_once", hidden_at_once, stride, wider), batch_size)


def saturate(region: Any, genome: Genome, model: LikelihoodModel | PlacedModel, settings: SaturationSettings) -> pd.DataFrame:
    """Probabilities of every base of a region, and what they say of its substitutions.

    Parameters
    ----------
    region
        See :func:`parse_region`.
    genome, model, settings
        What decides the values.

    Returns
    -------
    One row per base; see :func:`r2mae_bio.tl.saturation_mutagenesis`.

    Raises
    ------
    RegionError, UnknownContigError, AmbiguousContigError
        The region cannot be read or does not lie on the genome.
    """
    chrom, start, end = parse_region(region)
    letters = genome.fetch(chrom, start, end).upper()
    contig = genome.contig_index(chrom)
    log_p = predict_bases(genome, contig, np.arange(start, end), model, settings)
    table = pd.DataFrame({"ref": list(letters), **base_values(encode_bases(letters), log_p.astype(np.float64))})
    table.insert(0, "chrom", genome.contigs[contig])
    table.insert(1, "pos", np.arange(start, end) % genome.lengths[contig] + 1)
    text = f"{genome.contigs[contig]}:{start + 1}-{end}"
    read = {name: getattr(settings, name) for name in ("context", "strand", "stride", "hidden_at_once")}
    table.attrs.update(region=text, model=model.checksum(), **read)
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
    return _whole_number("context", context, window, "the model's window")


def _whole_number(name: str, value: Any, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
        message = f"{name}={value!r}; needed is a whole number of bases from 1 to {most}, {what}."
        raise ConfigError(message)
    return int(value)


def predict_bases(
    genome: Genome,
    contig: int,
    positions: NDArray[np.int64],
    model: LikelihoodModel | PlacedModel,
    settings: SaturationSettings,
) -> NDArray[np.floating[Any]]:
    """Log-probabilities of bases that are hidden, one or several of a window at a time.

    Windows are counted from the start of the contig, and so are the bases that are hidden together,
    so what a base is predicted from does not depend on which others are asked for.

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
    settings
        How it is asked.

    Returns
    -------
    Nats, (n, 4), as precise as the model gives them.
    """
    if is_placed(model):
        return log_probs_of_places(model, genome, np.full(positions.shape, contig), positions, np.ones(positions.shape, bool))
    columns, context = columns_over(model, genome), settings.context
    groups, group = np.unique(_first_of_window(positions, int(genome.lengths[contig]), settings.stride), return_inverse=True)
    rows = max(1, _NUMBERS_AT_ONCE // (len(BASES) * context * settings.stride))
    found = [np.empty((0, len(BASES)), np.float32)]
    for first in range(0, groups.size, rows):
        starts = groups[first : first + rows] - settings.before
        codes = encode_bases(genome.windows(starts, context, contigs=contig, outside="N"))
        if columns is not None:
            codes = with_columns(codes, columns.windows(starts, context, contigs=contig))
        windows, which = unique_windows(codes)
        here = slice(*np.searchsorted(group, [first, first + rows]))
        number = group[here] - first
        found.append(_read(model, windows, (which[number], positions[here] - starts[number]), settings))
    return np.concatenate(found)


def _first_of_window(positions: NDArray[np.int64], length: int, stride: int) -> NDArray[np.int64]:
    """The first base that is asked of the window of each base, on the same turn of a circle."""
    return positions - positions % length % stride


def _read(
    model: LikelihoodModel,
    windows: NDArray[np.uint8],
    hidden: tuple[NDArray[np.int64], NDArray[np.int64]],
    settings: SaturationSettings,
) -> NDArray[np.float32]:
    how: dict[str, Any] = {"strand": settings.strand, "batch_size": settings.batch_size}
    if settings.hidden_at_once == 1:
        return read_windows(model, windows, hidden=hidden, **how).log_probs
    asked = slice(settings.before, settings.before + settings.stride)
    return read_combs(model, windows, hidden=hidden, asked=asked, spacing=settings.spacing, **how)


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
    return dict(zip(COLUMNS, [*log_p.T, *ratios.T, entropy, 2 - entropy / np.log(2)], strict=True))
