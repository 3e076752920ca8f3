"""Windows of a genome as minibatches."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases, soft_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Some windows of one length."""

    codes: Tensor
    """Bases, A 0, C 1, G 2, T 3, anything else 4, uint8 (B, L)."""
    weight: Tensor | None = None
    """Weight of each base in the loss, float32 (B, L); None if all count the same."""
    repeat: Tensor | None = None
    """Soft-masked bases, bool (B, L); None if the genome has none."""

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

    Raises
    ------
    ConfigError
        The weight is not a positive number.
    """

    def __init__(self, genome: Genome, length: int, *, repeat_weight: float = 1.0) -> None:
        if not 0 < repeat_weight < float("inf"):
            message = f"repeat_weight={repeat_weight}; needed is a positive number, 1 for no difference."
            raise ConfigError(message)
        self.genome, self.length, self.repeat_weight = genome, length, repeat_weight
        self._has_repeats = any(contig.n_soft_masked for contig in genome.index)

    def read(self, starts: NDArray[np.int64], reverse: NDArray[np.bool_] | None = None) -> WindowBatch:
        """The windows that begin at these positions.

        Parameters
        ----------
        starts
            Global positions, (B,).
        reverse
            Rows to read on the other strand, bool (B,).

        Returns
        -------
        The batch, on the CPU.
        """
        letters = self.genome.windows(starts, self.length, reverse=reverse)
        codes = torch.from_numpy(encode_bases(letters))
        if not self._has_repeats:
            return WindowBatch(codes)
        repeat = soft_mask(letters)
        if self.repeat_weight == 1:
            return WindowBatch(codes, None, torch.from_numpy(repeat))
        weight = np.take(np.array([1, self.repeat_weight], np.float32), repeat.view(np.uint8))
        return WindowBatch(codes, torch.from_numpy(weight), torch.from_numpy(repeat))
