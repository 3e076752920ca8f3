"""Many windows of one length at once, from contigs that lie one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, RegionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_N: Final = np.uint8(ord("N"))


@dataclass(frozen=True, eq=False)
class ContigLayout:
    """Where the contigs lie along all bases."""

    names: Sequence[str]
    offsets: NDArray[np.int64]
    """Global position of the first base of each contig, shape (contigs,)."""
    lengths: NDArray[np.int64]
    """Bases of each contig, none of them 0, shape (contigs,)."""
    circular: NDArray[np.bool_]
    """Whether each contig is a circle, shape (contigs,)."""

    def locate(self, starts: Any, contigs: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Contig of each window and its start on it, both (B,), from global starts or from both
        given.

        Raises
        ------
        DataError
            Not whole numbers of one shape.
        RegionError
            A global start is off the genome, or there is no such contig.
        """
        start = _as_integers(starts, "starts")
        if contigs is None:
            _check_range(start, int(self.lengths.sum()), "global start")
            contig = np.searchsorted(self.offsets, start, side="right") - 1
            return contig, start - self.offsets[contig]
        given = np.asarray(contigs)
        contig = (
            np.full(start.shape, int(given)) if given.ndim == 0 and given.dtype.kind in "iu" else _as_integers(given, "contigs")
        )
        if contig.shape != start.shape:
            message = f"contigs has shape {contig.shape}, starts has {start.shape}; give one contig, or one for each window."
            raise DataError(message)
        _check_range(contig, len(self.names), "contig number")
        return contig, start

    def read(
        self, bases: NDArray[np.uint8], contig: NDArray[np.int64], start: NDArray[np.int64], length: int, *, fill: bool
    ) -> NDArray[np.uint8]:
        """Copy windows, shape (B, length); those that leave their contig wrap on a circle and else,
        with ``fill``, go on in N.

        Raises
        ------
        RegionError
            A window leaves its contig and there is no ``fill``.
        """
        size = self.lengths[contig]
        leaves = (start < 0) | (start > size - length)
        if not leaves.any():
            return _gather(bases, self.offsets[contig] + start, length)
        wraps = self.circular[contig] & (size >= length)
        refused = leaves & ~wraps
        if refused.any() and not fill:
            first = int(np.argmax(refused))
            raise RegionError(
                self.describe_leaving(int(contig[first]), int(start[first]), int(start[first]) + length, f"Window {first}: ")
            )
        rows = np.empty((start.size, length), np.uint8)
        rows[~leaves] = _gather(bases, (self.offsets[contig] + start)[~leaves], length)
        rows[leaves] = self._edges(bases, contig[leaves], start[leaves], length, wraps[leaves])
        return rows

    def _edges(
        self, bases: NDArray[np.uint8], contig: NDArray[np.int64], start: NDArray[np.int64], length: int, wraps: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Windows base by base, as far as they lie on their contig; a few per batch at most, so it
        need not be fast.
        """
        size, offset = self.lengths[contig][:, None], self.offsets[contig][:, None]
        position = start[:, None] + np.arange(length)  # (B, length)
        position = np.where(wraps[:, None], position % size, position)
        inside = (position >= 0) & (position < size)
        return np.where(inside, bases[offset + np.clip(position, 0, size - 1)], _N)

    def describe_leaving(self, contig: int, start: int, end: int, what: str = "") -> str:
        """The message about a region that does not lie on its contig."""
        size = int(self.lengths[contig])
        rule = "0 <= start < end <= length"
        if self.circular[contig]:
            rule = "0 <= start < length and a region not longer than the circle"
        message = f"{what}{start} to {end} does not lie on the contig {self.names[contig]!r} of {size} bases; needed is {rule}."
        if not self.circular[contig] and 0 <= start < size < end:
            message += " If the contig is a circle, open the genome with circular=."
        return message


def check_window(length: int, outside: str) -> None:
    """Refuse windows without bases and unknown ways to treat those that leave their contig."""
    if not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1:
        message = f"length={length!r} is no length of a window; needed is a whole number of bases, at least 1."
        raise DataError(message)
    if outside not in ("error", "N"):
        message = f"outside={outside!r} is not known; needed is 'error' or 'N'."
        raise ConfigError(message)


def check_rows(reverse: NDArray[np.bool_], n_rows: int) -> NDArray[np.bool_]:
    """A mask of rows, or a :class:`DataError`."""
    reverse = np.asarray(reverse)
    if reverse.dtype != bool or reverse.shape != (n_rows,):
        message = f"reverse has shape {reverse.shape} and dtype {reverse.dtype}; needed is bool of shape ({n_rows},)."
        raise DataError(message)
    return reverse


def _as_integers(values: Any, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        message = f"{name} has shape {array.shape} and dtype {array.dtype}; needed are whole numbers of shape (windows,)."
        raise DataError(message)
    return array.astype(np.int64, copy=False)


def _check_range(values: NDArray[np.int64], limit: int, what: str) -> None:
    if values.size and not (values.min() >= 0 and values.max() < limit):
        message = f"A {what} is {values.min() if values.min() < 0 else values.max()}; needed are numbers from 0 to {limit - 1}."
        raise RegionError(message)


def _gather(bases: NDArray[np.uint8], starts: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    """Windows that lie within ``bases``, from their global starts.

    They are elements, each ``length`` bytes wide, of an array of overlapping elements, so one
    indexing copies each as a whole.
    """
    if starts.size == 0:
        return np.empty((0, length), np.uint8)
    overlapping: NDArray[Any] = np.ndarray((bases.size - length + 1,), f"V{length}", buffer=bases.data, strides=(1,))
    return overlapping[starts].view(np.uint8).reshape(starts.size, length)
