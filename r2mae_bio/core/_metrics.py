"""Loss bookkeeping: nats per hidden slot, overall and by mask ratio, with the realised ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from r2mae_bio.core._objective import Score

N_FINE = 20
"""Bins of the realised ratio that are counted."""
N_COARSE = 5
"""Bins of the ratio for which a loss is reported."""
_SUMS = "meter"


class RatioMeter:
    """Sums of nats, hidden slots and rows in twenty bins of the realised ratio."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, N_FINE, dtype=torch.float64)
        self.parts: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, score: Score, ratio: Tensor) -> None:
        """Add rows.

        Parameters
        ----------
        score
            Nats and weights of each row's hidden slots, (B,).
        ratio
            Realised ratio of each row, (B,).
        """
        if self.sums.device != score.nats.device:
            self.sums = self.sums.to(score.nats.device)
            self.parts = {name: sums.to(score.nats.device) for name, sums in self.parts.items()}
        index = (ratio * N_FINE).long().clamp(max=N_FINE - 1)
        new = torch.stack([score.nats.double(), score.weight.double(), torch.ones_like(score.nats, dtype=torch.float64)])
        self.sums.index_add_(1, index, new)
        for name, (nats, weight) in score.parts.items():
            new = torch.stack([nats.double(), weight.double()])
            self.parts[name] = self.parts[name] + new if name in self.parts else new

    def report(self, prefix: str) -> dict[str, float]:
        """Nats per hidden slot overall, ``{prefix}_loss``, and per ratio bin,
        ``{prefix}_loss_0.0-0.2``; empty bins are NaN.
        """
        nats, slots, _ = self.sums.cpu().view(3, N_COARSE, -1).sum(2)
        losses = (nats / slots).tolist()
        names = [f"{prefix}_loss_{i / N_COARSE:.1f}-{(i + 1) / N_COARSE:.1f}" for i in range(N_COARSE)]
        parts = {f"{prefix}_loss_{name}": float(x[0] / x[1]) for name, x in self.parts.items()}
        return {f"{prefix}_loss": float(nats.sum() / slots.sum()), **dict(zip(names, losses, strict=True)), **parts}

    def rows(self) -> list[int]:
        """Number of rows in each fine bin of the realised ratio."""
        return [int(n) for n in self.sums[2].tolist()]

    def tensors(self) -> dict[str, Tensor]:
        """Everything it holds, by name, for a checkpoint."""
        return {_SUMS: self.sums, **{f"{_SUMS}.{name}": sums for name, sums in self.parts.items()}}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`tensors` gave.

        Parameters
        ----------
        tensors
            Tensors by name; those of others are passed over.
        """
        prefix = f"{_SUMS}."
        self.sums = tensors[_SUMS].clone()
        self.parts = {key.removeprefix(prefix): sums.clone() for key, sums in tensors.items() if key.startswith(prefix)}

    def reset(self) -> None:
        """Start again from nothing."""
        self.sums = torch.zeros_like(self.sums)
        self.parts = {}
