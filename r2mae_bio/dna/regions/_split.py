"""Which part of a genome a model learns from and which part is held out."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.regions._intervals import Intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome

__all__ = ["GenomeSplit", "split_genome"]


@dataclass(frozen=True, eq=False)
class GenomeSplit:
    """Two parts of a genome that share no base."""

    train: Intervals
    """What is learned from."""
    validation: Intervals
    """What is held out; may be empty."""
    contigs: tuple[str, ...]
    """Names of the contigs of the genome."""
    rule: str
    """How the held-out part was chosen, in words."""

    def __repr__(self) -> str:
        return f"GenomeSplit({self.train.n_bases:,} bases to train on, {self.validation.n_bases:,} held out: {self.rule})"

    def to_json(self) -> dict[str, Any]:
        """The split as plain data, for checkpoints.

        Returns
        -------
        ``rule``, and ``train`` and ``validation`` as lists of ``[contig, start, end]``, 0-based and
        half-open.
        """
        return {"rule": self.rule, "train": self._rows(self.train), "validation": self._rows(self.validation)}

    def _rows(self, part: Intervals) -> list[list[Any]]:
        columns = (part.contig.tolist(), part.start.tolist(), part.end.tolist())
        return [[self.contigs[contig], start, end] for contig, start, end in zip(*columns, strict=True)]

    @classmethod
    def from_json(cls, genome: Genome, record: dict[str, Any]) -> GenomeSplit:
        """The split that :meth:`to_json` described.

        Parameters
        ----------
        genome
            The genome.
        record
            The plain data.

        Returns
        -------
        The split.

        Raises
        ------
        RegionError
            A contig is not in this genome, or shorter than in the one that was split.
        """
        train, validation = (_from_rows(genome, record[name]) for name in ("train", "validation"))
        return cls(train, validation, genome.contigs, record["rule"])


def _from_rows(genome: Genome, rows: list[list[Any]]) -> Intervals:
    return Intervals.from_regions(genome, [tuple(row) for row in rows]) if rows else _nothing(genome)


def _nothing(genome: Genome) -> Intervals:
    return Intervals.of(genome, *np.zeros((3, 0), np.int64))


def split_genome(
    genome: Genome,
    *,
    validation: Any = 0.1,
    by: str = "block",
    train: Any = None,
    gap: int = 0,
    min_block: int = 512,
    seed: int = 0,
) -> GenomeSplit:
    """Hold out a part of a genome.

    Parameters
    ----------
    genome
        The genome.
    validation
        What is held out: a share of the bases (see ``by``), 0 or None for nothing; the name of a
        contig or a list of names; or regions, as a BED file, a table or a list of
        ``(chrom, start, end)``.
    by
        How a share is chosen. ``"block"``: the last share of every contig, or of the regions to
        train on that lie on it. ``"contig"``: whole contigs drawn by ``seed``, in each species, so
        that they come as near to the share as they can.
    train
        What to train on, contigs or regions in the same forms; the whole genome if None. What is
        held out is never trained on, also where both name the same bases.
    gap
        Bases on either side of what is held out that are not trained on.
    min_block
        Fewest bases of a contig that are worth holding out for a share; contigs that would give
        fewer are trained on whole. A model sets it to its window.
    seed
        The draw of contigs is a pure function of it.

    Returns
    -------
    Both parts.

    Raises
    ------
    ConfigError
        A setting is out of range, nothing is left to train on, or no contig is long enough to hold
        out the share.
    UnknownContigError, AmbiguousContigError
        A contig cannot be found.
    RegionError, BedError
        Regions do not lie on the genome, or cannot be read.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> rb.io.split_genome(genome, validation=0.1)
    GenomeSplit(43,652 bases to train on, 4,850 held out: the last 10% of each contig)
    """
    _check(by, gap, min_block)
    available = Intervals.whole(genome) if train is None else _named(genome, train)[0]
    if validation is None or isinstance(validation, Real):
        share = _checked_share(validation)
        held_out, rule = _hold_out_share(genome, available, share, by=by, min_block=min_block, seed=seed)
    else:
        held_out, rule = _named(genome, validation)
    kept = available.subtract(held_out.widen(genome, gap))
    if not len(kept):
        message = (
            f"Nothing is left to train on: {held_out.n_bases} bases are held out of {available.n_bases}, with a gap of {gap} on either "
            "side. Hold out less, or train on more regions."
        )
        raise ConfigError(message)
    return GenomeSplit(kept, held_out, genome.contigs, rule)


def _check(by: str, gap: int, min_block: int) -> None:
    if by not in ("block", "contig"):
        message = f"by={by!r} is not known; needed is 'block' or 'contig'."
        raise ConfigError(message)
    if gap < 0 or min_block < 1:
        message = f"gap={gap} and min_block={min_block}; needed are bases, at least 0 and at least 1."
        raise ConfigError(message)


def _checked_share(validation: Real | None) -> float:
    share = 0.0 if validation is None else float(validation)
    if isinstance(validation, bool) or not 0 <= share < 1:
        message = f"validation={validation!r} is no share; needed is a number from 0 to below 1, names of contigs, or regions."
        raise ConfigError(message)
    return share


def _named(genome: Genome, part: Any) -> tuple[Intervals, str]:
    """Contigs by name, or regions; a text is a name if the genome knows it, or else the path of a
    BED file.
    """
    if isinstance(part, str) and (part in genome or not _is_bed(part)):
        part = [part]
    if isinstance(part, str | PathLike | pd.DataFrame):
        return Intervals.from_regions(genome, part), "regions"
    items = list(part)
    if items and all(isinstance(item, str) for item in items):
        chosen = _contig_mask(genome, [genome.contig_index(name) for name in items])
        names = ", ".join(genome.contigs[i] for i in np.flatnonzero(chosen)[:8])
        return Intervals.whole(genome).take(chosen), f"the contigs {names}{' ...' if chosen.sum() > 8 else ''}"
    return Intervals.from_regions(genome, items), "regions"


def _is_bed(text: str) -> bool:
    return Path(text).expanduser().is_file() or ".bed" in Path(text).suffixes


def _contig_mask(genome: Genome, chosen: Any) -> NDArray[np.bool_]:
    mask = np.zeros(len(genome.contigs), bool)
    mask[chosen] = True
    return mask


def _hold_out_share(
    genome: Genome, available: Intervals, share: float, *, by: str, min_block: int, seed: int
) -> tuple[Intervals, str]:
    if share == 0:
        return _nothing(genome), "nothing"
    if by == "block":
        held_out, rule = _last_blocks(genome, available, share, min_block), f"the last {100 * share:.4g}% of each contig"
    else:
        chosen = _draw_contigs(genome, _bases_of_contigs(genome, available), share, min_block, seed)
        held_out, rule = available.take(chosen[available.contig]), f"{int(chosen.sum())} contigs drawn by seed {seed}"
    if not len(held_out):
        raise ConfigError(_too_short(genome, available, share, by, min_block))
    return held_out, rule


def _bases_of_contigs(genome: Genome, available: Intervals) -> NDArray[np.int64]:
    return np.bincount(available.contig, available.lengths, len(genome.contigs)).astype(np.int64)


def _last_blocks(genome: Genome, available: Intervals, share: float, min_block: int) -> Intervals:
    """The last share of the available bases of each contig."""
    n_held = np.rint(share * _bases_of_contigs(genome, available)).astype(np.int64)
    n_held[n_held < min_block] = 0
    up_to = np.cumsum(available.lengths)  # over all contigs
    last_of_contig = np.searchsorted(available.contig, available.contig, side="right") - 1
    later = up_to[last_of_contig] - up_to  # available bases of the same contig behind this interval
    taken = np.clip(n_held[available.contig] - later, 0, available.lengths)
    return Intervals.of(genome, available.contig, available.end - taken, available.end)


def _draw_contigs(genome: Genome, n_bases: NDArray[np.int64], share: float, min_block: int, seed: int) -> NDArray[np.bool_]:
    """Contigs of each species, in random order, each taken if that brings the sum nearer to the
    share; one stays to be trained on.
    """
    chosen = np.zeros(n_bases.size, bool)
    species = np.array(genome.species)
    for number, name in enumerate(dict.fromkeys(genome.species)):
        members = np.flatnonzero((species == name) & (n_bases > 0))
        candidates = derive_generator(seed, "held-out contigs", number).permutation(members[n_bases[members] >= min_block])
        if members.size > 1 and candidates.size:
            chosen[_nearest_sum(candidates, n_bases, share * n_bases[members].sum(), most=members.size - 1)] = True
    return chosen


def _nearest_sum(candidates: NDArray[np.int64], n_bases: NDArray[np.int64], target: float, *, most: int) -> list[int]:
    taken: list[int] = []
    total = 0
    for i in candidates:
        if len(taken) < most and abs(total + n_bases[i] - target) < abs(total - target):
            taken.append(int(i))
            total += int(n_bases[i])
    return taken or [int(candidates[np.argmin(n_bases[candidates])])]


def _too_short(genome: Genome, available: Intervals, share: float, by: str, min_block: int) -> str:
    longest = int(_bases_of_contigs(genome, available).max())
    if by == "block":
        return (
            f"No contig is long enough to hold out its last {100 * share:.4g}%: the longest has {longest} bases, of which that is "
            f"{round(share * longest)}, fewer than min_block={min_block}. Hold out a larger share, whole contigs (by='contig') or named ones, "
            "or lower min_block."
        )
    return (
        f"No contig can be held out whole: {len(genome.contigs)} contigs, the longest of {longest} bases, min_block={min_block}; needed are "
        "two contigs of one species. Hold out the last share of each contig (by='block'), or name regions."
    )
