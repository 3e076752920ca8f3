"""Parts put together, once it is proven that every base is there exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import DataError
from r2mae_bio.dna.tracks._blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.tracks._logp import LogpFile

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Whole:
    """All bases that were asked for."""

    contigs: list[str]
    """Names of the contigs of the genome."""
    lengths: list[int]
    """Their lengths."""
    blocks: Blocks
    _parts: Sequence[LogpFile]
    """Sorted, one going on where the one before ends."""

    def sorted_blocks(self) -> Iterator[tuple[str, int, NDArray[np.float32], NDArray[np.uint8]]]:
        """Contig, first base, log-probabilities (n, 4) and bases (n,) of each block, sorted by name
        of contig and position, as formats of tracks want them.
        """
        rank = np.argsort(np.argsort(np.array(self.contigs, object), kind="stable"), kind="stable")
        last = np.array([part.last for part in self._parts])
        for i in np.lexsort((self.blocks.start, rank[self.blocks.contig])).tolist():
            part = self._parts[int(np.searchsorted(last, i, side="right"))]
            n = int(self.blocks.end[i] - self.blocks.start[i])
            log_p, codes = part.read(int(self.blocks.begin[i]), n)
            yield self.contigs[self.blocks.contig[i]], int(self.blocks.start[i]), log_p, codes


def put_together(parts: Sequence[LogpFile]) -> Whole:
    """One whole of its parts, in any order.

    Parameters
    ----------
    parts
        The parts, of any number of shards.

    Returns
    -------
    The whole.

    Raises
    ------
    DataError
        Parts are of other regions, genomes, models or settings, a base is in two of them, or in
        none.
    """
    for part in parts[1:]:
        _check_same(parts[0], part)
    plan = parts[0].plan
    blocks = Blocks.of(*plan["intervals"])
    ordered = sorted(parts, key=lambda part: (part.first, part.last))
    filled = [part for part in ordered if part.first < part.last]
    _check_once(plan["contigs"], blocks, ordered, filled)
    return Whole(plan["contigs"], plan["lengths"], blocks, filled)


def _check_same(one: LogpFile, other: LogpFile) -> None:
    if one.plan == other.plan:
        return
    then, now = ({**part.plan["made_by"]} for part in (one, other))
    differs = [
        f"{name} ({then.get(name)!r} and {now.get(name)!r})" for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    differs += ["the regions"] if one.plan["intervals"] != other.plan["intervals"] else []
    differs += ["the contigs"] if any(one.plan[name] != other.plan[name] for name in ("contigs", "lengths")) else []
    message = (
        f"{one.path} and {other.path} are not parts of one whole; they differ in {', '.join(differs)}. "
        "Needed are shards of the same regions, genome, model and settings; run those that differ again."
    )
    raise DataError(message)


def _check_once(contigs: list[str], blocks: Blocks, ordered: Sequence[LogpFile], filled: Sequence[LogpFile]) -> None:
    reached: Any = None
    missing: list[tuple[int, int]] = []
    for part in filled:
        at = 0 if reached is None else reached.last
        if part.first < at:
            where = _shown(blocks, contigs, part.first, min(part.last, at))
            message = f"{reached.path} and {part.path} both hold {where}; needed is every base once. Leave one of them out."
            raise DataError(message)
        missing += [(at, part.first)] if part.first > at else []
        reached = part
    at = 0 if reached is None else reached.last
    missing += [(at, len(blocks))] if at < len(blocks) else []
    if missing:
        n_bases = sum(blocks.bases_before(last) - blocks.bases_before(first) for first, last in missing)
        where = "; ".join(_shown(blocks, contigs, *stretch) for stretch in missing)
        message = f"{n_bases:,} of {blocks.n_bases:,} bases are in none of the parts: {where}.{_lost(ordered)} Run them, and merge again."
        raise DataError(message)


def _shown(blocks: Blocks, contigs: list[str], first: int, last: int) -> str:
    stretches = list(blocks.stretches(contigs, first, last))
    more = f" and {len(stretches) - _SHOWN} more" if len(stretches) > _SHOWN else ""
    return ", ".join(stretches[:_SHOWN]) + more


def _lost(parts: Sequence[LogpFile]) -> str:
    """Names of the shards that are not there, where all are of one number of shards."""
    of = {part.shard[1] for part in parts}
    if len(of) > 1:
        return ""
    n = of.pop()
    lost = [f"{i}/{n}" for i in range(1, n + 1) if i not in {part.shard[0] for part in parts}]
    return f" Missing are the shards {', '.join(lost[:_SHOWN])}{' and more' if len(lost) > _SHOWN else ''}." if lost else ""
