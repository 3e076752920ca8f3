"""Windows that are asked about single bases: read once, both strands together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from r2mae_bio._errors import DataError
from r2mae_bio.dna._aligned import bases_of
from r2mae_bio.dna._protocols import WindowReading
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.model._strands import bases_at_once, other_strand
from r2mae_bio.dna.network._substitution import substitutions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
    from r2mae_bio.dna.network._substitution import Substitutions, Trace

_AROUND: Final = 64
"""Bases that one question makes the network compute, about; their number sets how many go
together.
"""


class Questions(NamedTuple):
    """Single bases of windows, each (n,)."""

    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    bases: NDArray[np.int64]
    """Bases to put there; 4 hides what is there."""

    def among(self, first: int, end: int) -> tuple[NDArray[np.int64], Questions]:
        """Those of some windows, counted from the first of these, and which of all they are."""
        which = np.flatnonzero((self.rows >= first) & (self.rows < end))
        return which, Questions(self.rows[which] - first, self.positions[which], self.bases[which])

    def padded(self, part: slice) -> Questions:
        """Some of them, the last repeated up to one of few numbers: libraries prepare anew for
        every size of a matrix, which takes longer than a few questions more.
        """
        n = self.rows[part].size
        grain = max(1, 1 << max(n.bit_length() - 3, 0))  # at most a quarter more
        return Questions(*(np.pad(values[part], (0, -n % grain), mode="edge") for values in self))


def check_questions(rows: object, positions: object, bases: object, shape: tuple[int, ...], *, known: bool) -> Questions:
    """Questions as arrays, or an error that says what is wrong.

    Parameters
    ----------
    rows, positions, bases
        What the user passed, each (n,).
    shape
        Shape of the windows, (U, L).
    known
        Whether bases must be A, C, G and T.

    Raises
    ------
    DataError
        They are not whole numbers of one length within the windows.
    """
    arrays = [np.asarray(values) for values in (rows, positions, bases)]
    limits = (*shape, UNKNOWN if known else UNKNOWN + 1)
    for name, values, limit in zip(("rows", "positions", "bases"), arrays, limits, strict=True):
        right = values.ndim == 1 and values.size == arrays[0].size and (not values.size or values.dtype.kind in "iu")
        if not right or (values.size and not 0 <= int(values.min()) <= int(values.max()) < limit):
            message = (
                f"{name} are {values.dtype} of shape {values.shape}; needed are whole numbers from 0 to {limit - 1}, "
                f"as many as rows, which are {arrays[0].size}."
            )
            raise DataError(message)
    return Questions(*(values.astype(np.int64) for values in arrays))


@torch.inference_mode()
def read_windows(
    network: DNAMaskedAutoencoder,
    codes: NDArray[np.integer],
    hidden: Questions,
    other: Questions,
    *,
    means: bool,
    both: bool,
    batch_size: int | None,
) -> WindowReading:
    """Ask a network about windows.

    Parameters
    ----------
    network
        The network, put into evaluation mode.
    codes
        The windows, (U, L) or (U, L, 1 + S).
    hidden
        Bases to hide, one at a time.
    other
        Bases to put in the place of others, one at a time, whose mean states are wanted.
    means
        Whether the mean states of the windows as they are are wanted.
    both
        Whether both strands are read.
    batch_size
        Windows at a time; as many as suit the device if None.

    Returns
    -------
    See :meth:`r2mae_bio.dna._protocols.WindowModel.read_windows`.
    """
    network.eval()
    length, width = codes.shape[1], network.config.d_model
    asked = substitutions(network, length)
    n_bases = bases_at_once(network)
    step = max(1, n_bases // (length * (1 + both))) if batch_size is None else batch_size
    n_places = max(1, n_bases // (min(length, _AROUND) * (1 + both))) if batch_size is None else batch_size
    log_probs = np.empty((hidden.rows.size, 4), np.float32)
    of_windows, of_others = (np.empty((n, width), np.float32) for n in (len(codes) * means, other.rows.size))
    for first in range(0, len(codes), step):
        strands = _Strands(asked, network, codes[first : first + step], both=both)
        if means:
            of_windows[first : first + step] = strands.means()
        which, here = hidden.among(first, first + step)
        for part in _parts(which.size, n_places):
            log_probs[which[part]] = strands.log_probs(here.padded(part))[: which[part].size]
        which, here = other.among(first, first + step)
        for part in _parts(which.size, step):
            of_others[which[part]] = strands.means_with(here.padded(part))[: which[part].size]
    return WindowReading(log_probs, of_windows, of_others)


def _parts(n: int, step: int) -> Iterator[slice]:
    return (slice(first, first + step) for first in range(0, n, step))


class _Strands:
    """Some windows, one strand below the other, read once."""

    def __init__(self, asked: Substitutions, network: DNAMaskedAutoencoder, codes: NDArray[np.integer], *, both: bool) -> None:
        self._asked, self._both, (self._n, self._length) = asked, both, codes.shape[:2]
        self._device = next(network.parameters()).device
        forward = torch.from_numpy(codes.astype(np.int64)).to(self._device)
        self._trace: Trace = asked.trace(torch.cat([forward, other_strand(forward)]) if both else forward)

    def log_probs(self, questions: Questions) -> NDArray[np.float32]:
        """Log-probabilities of bases hidden one at a time, (n, 4)."""
        found = self._asked.logits_with(self._trace, *self._turned(questions)).log_softmax(-1)
        if self._both:
            forward, backward = found.chunk(2)
            found = ((forward + backward.flip(1)) / 2).log_softmax(-1)
        return found.cpu().numpy()

    def means(self) -> NDArray[np.float32]:
        """Mean states over the known bases of the windows, (U, D)."""
        return self._mean(self._asked.states(self._trace), bases_of(self._trace.codes) < UNKNOWN)

    def means_with(self, questions: Questions) -> NDArray[np.float32]:
        """The same with other bases, one at a time, (n, D)."""
        rows, positions, bases = self._turned(questions)
        known = (bases_of(self._trace.codes)[rows] < UNKNOWN).scatter(1, positions[:, None], value=True)
        return self._mean(self._asked.states_with(self._trace, rows, positions, bases), known)

    def _mean(self, states: Tensor, known: Tensor) -> NDArray[np.float32]:
        share = known.to(states.dtype)
        found = torch.bmm(share[:, None], states)[:, 0] / share.sum(1, keepdim=True)
        if self._both:
            found = sum(found.chunk(2)) / 2  # type: ignore[assignment]
        return found.float().cpu().numpy()

    def _turned(self, questions: Questions) -> tuple[Tensor, Tensor, Tensor]:
        """The questions, and as many on the other strand where it is read."""
        rows, positions, bases = (torch.from_numpy(values).to(self._device) for values in questions)
        if not self._both:
            return rows, positions, bases
        turned = torch.where(bases < UNKNOWN, 3 - bases, bases)
        return torch.cat([rows, rows + self._n]), torch.cat([positions, self._length - 1 - positions]), torch.cat([bases, turned])
