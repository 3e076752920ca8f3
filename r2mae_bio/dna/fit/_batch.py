"""Windows of a genome as minibatches."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases, soft_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._over_genome import AlignedColumns
    from r2mae_bio.dna.genome._genome import Genome

_SMOOTHED: Final = 9
"""Positions over which conservation is averaged, an odd number."""


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Some windows of one length."""

    codes: Tensor
    """Bases, A 0, C 1, G 2, T 3, anything else 4, uint8 (B, L)."""
    weight: Tensor | None = None
    """Weight of each base in the loss, float32 (B, L); None if all count the same."""
    repeat: Tensor | None = None
    """Soft-masked bases, bool (B, L); None if the genome has none."""
    columns: Tensor | None = None
    """What other species have, see :mod:`r2mae_bio.dna._aligned`, uint8 (B, L, S); None without an
    alignment.
    """
    n_hidden: Tensor | None = None
    """How many species, the nearest first, are hidden along with a base in each row, int64 (B,);
    None for none.
    """

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> WindowBatch:
        """The same batch on another device.

        Parameters
        ----------
        device
            Where to.
        non_blocking
            Passed to :meth:`torch.Tensor.to`.
        """
        present = {f.name: t for f in fields(self) if (t := getattr(self, f.name)) is not None}
        return replace(self, **{name: t.to(device, non_blocking=non_blocking) for name, t in present.items()})

    @property
    def valid(self) -> Tensor:
        """Bases that are known, bool (B, L)."""
        return self.codes < UNKNOWN


class WindowReader:
    """Reads windows of a genome as batches.

    Parameters
    ----------
    genome
        The genome.
    length
        Bases of a window, L.
    repeat_weight
        Weight in the loss of soft-masked (lower-case) bases, in units of that of the others;
        positive. At 1 no weights are made.
    columns
        What other species have at the positions of the genome.
    diverged_weight
        Weight in the loss of bases that no other species has, in units of that of bases which all
        have, averaged over 9 positions; positive. Between them it goes by the share of the species.

    Raises
    ------
    ConfigError
        A weight is not a positive number, or ``diverged_weight`` is given without ``columns``.
    """

    def __init__(
        self,
        genome: Genome,
        length: int,
        *,
        repeat_weight: float = 1.0,
        columns: AlignedColumns | None = None,
        diverged_weight: float = 1.0,
    ) -> None:
        for name, number in (("repeat_weight", repeat_weight), ("diverged_weight", diverged_weight)):
            if not 0 < number < float("inf"):
                message = f"{name}={number}; needed is a positive number, 1 for no difference."
                raise ConfigError(message)
        if columns is None and diverged_weight != 1:
            message = f"diverged_weight={diverged_weight} without an alignment; needed is a DNAMAE(genome, alignment=...)."
            raise ConfigError(message)
        self.genome, self.length, self.columns = genome, length, columns
        self.repeat_weight, self.diverged_weight = repeat_weight, diverged_weight
        self._has_repeats = any(contig.n_soft_masked for contig in genome.index)

    def read(
        self,
        starts: NDArray[np.int64],
        reverse: NDArray[np.bool_] | None = None,
        n_hidden: NDArray[np.int64] | None = None,
    ) -> WindowBatch:
        """The windows that begin at these positions.

        Parameters
        ----------
        starts
            Global positions, (B,).
        reverse
            Rows to read on the other strand, bool (B,).
        n_hidden
            See :class:`WindowBatch`, (B,).

        Returns
        -------
        The batch, on the CPU.
        """
        letters = self.genome.windows(starts, self.length, reverse=reverse)
        codes = encode_bases(letters)
        columns = None if self.columns is None else self.columns.windows(starts, self.length, reverse=reverse)
        repeat = soft_mask(letters) if self._has_repeats else None
        parts = self._weights(codes, repeat, columns), repeat, columns, n_hidden
        return WindowBatch(torch.from_numpy(codes), *(None if part is None else torch.from_numpy(part) for part in parts))

    def _weights(
        self, codes: NDArray[np.uint8], repeat: NDArray[np.bool_] | None, columns: NDArray[np.uint8] | None
    ) -> NDArray[np.float32] | None:
        """Weight of each base, (B, L); None if all count the same."""
        weights = []
        if repeat is not None and self.repeat_weight != 1:
            weights.append(np.take(np.array([1, self.repeat_weight], np.float32), repeat.view(np.uint8)))
        if columns is not None and self.diverged_weight != 1:
            conserved = _smooth((columns == codes[..., None]).mean(axis=-1, dtype=np.float32))
            weights.append(self.diverged_weight + (1 - self.diverged_weight) * conserved)
        return None if not weights else weights[0] if len(weights) == 1 else weights[0] * weights[1]


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the positions around each one that are in its row, (B, L)."""
    half = _SMOOTHED // 2
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    at = np.arange(values.shape[1])
    first, end = np.maximum(at - half, 0), np.minimum(at + half + 1, values.shape[1])
    return ((sums[:, end] - sums[:, first]) / (end - first)).astype(np.float32)
