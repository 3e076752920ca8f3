"""One filter per feature along the sequence, in the way that suits the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DepthwiseConvolution"]


class DepthwiseConvolution(nn.Module):
    """One filter per feature along the sequence, the ends padded with zeros.

    Parameters
    ----------
    d_model
        Features D.
    kernel
        Taps, odd.
    dilation
        Distance between taps, bp.
    """

    def __init__(self, d_model: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        # an image one pixel high: features stay last in memory, which on a CPU is twice as fast as
        # Conv1d
        self.filters = nn.Conv2d(d_model, d_model, (1, kernel), padding=(0, kernel // 2), groups=d_model)
        self.filters.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) to (B, L, D)."""
        if not x.is_cuda:
            return self._as_image(x)
        return self._by_phases(x) if torch.is_autocast_enabled("cuda") else self._dilated(x)

    def _as_image(self, x: Tensor) -> Tensor:
        """As an image, a pixel for each base and as many beside each other as the taps lie apart:
        then the taps are neighbours in a column, which a CPU has a quick kernel for, and nothing is
        copied.
        """
        (rows, slots, width), across = x.shape, self.dilation
        missing = -slots % across
        padded = F.pad(x, (0, 0, 0, missing)) if missing else x
        image = padded.reshape(rows, (slots + missing) // across, across, width).permute(0, 3, 1, 2)
        weight = self.filters.weight.transpose(2, 3)
        mixed = F.conv2d(image, weight, self.filters.bias, padding=(weight.shape[2] // 2, 0), groups=width)
        return mixed.permute(0, 2, 3, 1).reshape(rows, slots + missing, width)[:, :slots]

    def _dilated(self, x: Tensor) -> Tensor:
        """By one kernel, which is the quicker way on a GPU in float32."""
        weight = self.filters.weight.flatten(1)[:, None]  # (D, 1, taps)
        reach = self.dilation * (weight.shape[2] // 2)
        mixed = F.conv1d(x.transpose(1, 2), weight, self.filters.bias, padding=reach, dilation=self.dilation, groups=len(weight))
        return mixed.transpose(1, 2)

    def _by_phases(self, x: Tensor) -> Tensor:
        """Every dilation-th base as a sequence of its own: a GPU has no quick kernel for taps that
        lie apart in bfloat16.
        """
        if self.dilation == 1:
            return self._convolve(x)
        rows, slots, width = x.shape
        n_steps = -(-slots // self.dilation)
        missing = n_steps * self.dilation - slots
        padded = F.pad(x, (0, 0, 0, missing)) if missing else x
        phases = padded.reshape(rows, n_steps, self.dilation, width).transpose(1, 2).reshape(rows * self.dilation, n_steps, width)
        mixed = self._convolve(phases).reshape(rows, self.dilation, n_steps, width).transpose(1, 2)
        return mixed.reshape(rows, n_steps * self.dilation, width)[:, :slots]

    def _convolve(self, x: Tensor) -> Tensor:
        return self.filters(x.transpose(1, 2)[:, :, None]).squeeze(2).transpose(1, 2)
