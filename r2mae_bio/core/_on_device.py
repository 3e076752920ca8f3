"""What holds a network and moves it from device to device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["OnDevice"]


class OnDevice(ABC):
    """Models and classifiers alike; a subclass says which network is its own (:meth:`_network`)."""

    @abstractmethod
    def _network(self) -> nn.Module:
        """The network, or an error if there is none yet."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self._network().parameters()).device

    def to_device(self, device: str | torch.device) -> Self:
        """Move the network.

        Parameters
        ----------
        device
            Such as ``"cpu"`` or ``"cuda"``.

        Returns
        -------
        What it was called on.
        """
        self._network().to(device)
        return self
