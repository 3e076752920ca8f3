"""What classifiers of cells and of sequences have in common."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from torch import nn

from r2mae_bio.model._on_device import OnDevice

__all__ = ["TrainedClassifier"]


class _Record(Protocol):
    @property
    def classes(self) -> list[str]: ...


NetworkT = TypeVar("NetworkT", bound=nn.Module)
RecordT = TypeVar("RecordT", bound=_Record)


class TrainedClassifier(OnDevice, Generic[NetworkT, RecordT]):
    """A network in evaluation mode and the record that explains it."""

    def __init__(self, network: NetworkT, record: RecordT) -> None:
        self.network, self.record = network.eval(), record

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.record.classes

    def _network(self) -> NetworkT:
        return self.network
