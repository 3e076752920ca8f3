"""What classifiers of cells and of sequences have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import pandas as pd
from torch import nn

if TYPE_CHECKING:
    import torch

__all__ = ["TrainedClassifier"]


class _Record(Protocol):
    @property
    def classes(self) -> list[str]: ...

    @property
    def history(self) -> list[dict[str, Any]]: ...


NetworkT = TypeVar("NetworkT", bound=nn.Module)
RecordT = TypeVar("RecordT", bound=_Record)


class TrainedClassifier(Generic[NetworkT, RecordT]):
    """A network in evaluation mode and the record that explains it.

    Parameters
    ----------
    network
        Encoder and head.
    record
        The rest.
    """

    def __init__(self, network: NetworkT, record: RecordT) -> None:
        self.network, self.record = network.eval(), record

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.record.classes

    @property
    def history(self) -> pd.DataFrame:
        """Looks at the dev rows while it was trained, one row each."""
        return pd.DataFrame(self.record.history)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def to_device(self, device: str | torch.device) -> Self:
        """Move the network.

        Parameters
        ----------
        device
            Such as ``"cpu"`` or ``"cuda"``.

        Returns
        -------
        The classifier itself.
        """
        self.network.to(device)
        return self
