"""Sites at which nothing is expected of selection, drawn from a genome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.genome._bases import encode_bases, soft_mask
from r2mae_bio.dna.genome._kmers import known_words
from r2mae_bio.dna.regions._gff import is_gff, read_features
from r2mae_bio.dna.regions._intervals import Intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome

WIDTH: Final = 5
"""Bases of a context: the site and two on either side."""
SIDE: Final = WIDTH // 2
_PIECE: Final = 1 << 22
_SOFT_MASKED: Final = "soft-masked"


class NeutralSites(NamedTuple):
    """Places on contigs, in the order of the genome."""

    contig: NDArray[np.int64]
    """Place in ``Genome.contigs``, (n,)."""
    position: NDArray[np.int64]
    """Position from 0, (n,)."""
    n_available: int
    """Sites that they were drawn from."""


def draw_sites(genome: Genome, *, neutral: Any, exclude: Any, margin: int, n_sites: int, seed: int) -> NeutralSites:
    """Draw sites without replacement, each as likely as any other, in one pass over the genome.

    Parameters
    ----------
    genome
        The genome.
    neutral
        ``"soft-masked"`` for the bases in lower case, regions, or None for all bases.
    exclude
        Regions or a GFF or GTF file that sites keep away from, or None.
    margin
        How far they keep away, bp.
    n_sites
        Sites to draw; all if there are fewer.
    seed
        Seed of the draw.

    Returns
    -------
    Sites that are A, C, G or T, with two such bases on either side on the same contig.

    Raises
    ------
    ConfigError
        A number is out of range, or nothing says which sites are neutral.
    DataError
        There is no such site, or the regions cannot be read.
    """
    if n_sites < 1 or margin < 0:
        message = f"n_sites is {n_sites} and margin {margin}; needed are at least 1 site and a margin of 0 bp or more."
        raise ConfigError(message)
    masked = isinstance(neutral, str) and neutral == _SOFT_MASKED
    where = _intervals(genome, None if masked else neutral, exclude, margin)
    keys, contigs, positions, available = np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64), 0
    for contig, first, end in zip(where.contig.tolist(), where.start.tolist(), where.end.tolist(), strict=True):
        for start in range(first, end, _PIECE):
            found = _usable(genome, contig, start, min(end, start + _PIECE), masked=masked)
            available += found.size
            # the smallest of random numbers are a sample without replacement, whatever the total
            drawn = derive_generator(seed, "neutral sites", contig, start).random(found.size)
            keys, contigs = np.concatenate([keys, drawn]), np.concatenate([contigs, np.full(found.size, contig)])
            positions = np.concatenate([positions, found])
            kept = np.argsort(keys, kind="stable")[:n_sites]
            keys, contigs, positions = keys[kept], contigs[kept], positions[kept]
    if not available:
        raise DataError(_nothing(masked=masked, n_bases=where.n_bases))
    order = np.lexsort((positions, contigs))
    return NeutralSites(contigs[order], positions[order], available)


def describe_sites(neutral: Any, exclude: Any, margin: int) -> str:
    """What was taken as neutral, in words.

    Parameters
    ----------
    neutral, exclude, margin
        See :func:`draw_sites`.
    """
    what = _SOFT_MASKED if isinstance(neutral, str) and neutral == _SOFT_MASKED else "regions" if neutral is not None else "all"
    return what + (
        "" if exclude is None else f" but for {'features' if is_gff(exclude) else 'regions'} and {margin} bp around them"
    )


def _intervals(genome: Genome, neutral: Any, exclude: Any, margin: int) -> Intervals:
    inside = Intervals.whole(genome) if neutral is None else _regions(genome, neutral)
    return inside if exclude is None else inside.subtract(_regions(genome, exclude).widen(genome, margin))


def _regions(genome: Genome, source: Any) -> Intervals:
    return Intervals.from_regions(genome, read_features(source)[["chrom", "start", "end"]] if is_gff(source) else source)


def _usable(genome: Genome, contig: int, start: int, end: int, *, masked: bool) -> NDArray[np.int64]:
    """Positions of a stretch that may be drawn."""
    letters = genome.windows(np.array([start - SIDE]), end - start + 2 * SIDE, contigs=contig, outside="N")[0]
    usable = known_words(encode_bases(letters), WIDTH)
    if masked:
        usable &= soft_mask(letters[SIDE:-SIDE])
    return start + np.flatnonzero(usable)


def _nothing(*, masked: bool, n_bases: int) -> str:
    if masked:
        return (
            f"None of {n_bases:,} bases is in lower case, so repeats are not marked in this genome; take a soft-masked FASTA, or say "
            "what is neutral: neutral= regions, or exclude= the GFF file of the genes."
        )
    return f"None of {n_bases:,} neutral bases has two known ones on either side; pass other regions, or a smaller margin."
