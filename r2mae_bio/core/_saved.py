"""What every saved model has: weights, a record, a folder, and a way to be trained."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import pandas as pd
from torch import nn

from r2mae_bio._errors import NotTrainedError
from r2mae_bio.core._bundle import checksum, load_weights, read_kind, refused_if_misstated, versions
from r2mae_bio.core._checkpoint import Bundle, check_intact, write_folder
from r2mae_bio.core._on_device import OnDevice
from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._resume import latest_checkpoint
from r2mae_bio.core._run import run_identity
from r2mae_bio.core._runner import fit, initial_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.core._run import Run
    from r2mae_bio.masking import RatioLaw


class _HasClasses(Protocol):
    @property
    def classes(self) -> list[str]: ...


ClassifierNetworkT = TypeVar("ClassifierNetworkT", bound=nn.Module)
ClassifierRecordT = TypeVar("ClassifierRecordT", bound=_HasClasses)


class TrainedClassifier(OnDevice, Generic[ClassifierNetworkT, ClassifierRecordT]):
    """A network in evaluation mode and the record that explains it."""

    def __init__(self, network: ClassifierNetworkT, record: ClassifierRecordT) -> None:
        self.network, self.record = network.eval(), record

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.record.classes

    def _network(self) -> ClassifierNetworkT:
        return self.network


RecordT = TypeVar("RecordT", bound=ModelRecord)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class SavedModel(OnDevice, Generic[RecordT, NetworkT]):
    """State of a model, its way to disk and its training run; made by its subclasses.

    A subclass says how its files are named (:attr:`_kind`), read (:meth:`_read_record`,
    :meth:`_blank_network`), recognised (:meth:`_marks`, :meth:`_check_marks`), and what else a
    model read from disk needs to have (:meth:`_after_load`).
    """

    _kind: ClassVar[str]
    """Name of the class, kept in every file, so that one class does not read the files of
    another.
    """
    record: RecordT
    network: NetworkT | None

    # ------------------------------------------------------------------ what a subclass fills

    @classmethod
    @abstractmethod
    def _read_record(cls, data: dict[str, Any]) -> RecordT:
        """The record from plain data; errors are those of :meth:`ModelRecord.from_json`."""

    @classmethod
    @abstractmethod
    def _blank_network(cls, record: RecordT) -> NetworkT:
        """A network of the record's sizes, whose weights are about to be replaced."""

    def _marks(self) -> dict[str, str]:
        """Strings kept inside the weights' file to recognise one put beside the JSON of another
        model.
        """
        return {}

    @classmethod
    def _check_marks(cls, record: RecordT, bundle: Bundle, path: Path | str) -> None:
        """Refuse weights that belong to another record, by their marks or their shapes, before the
        checksum is compared.
        """

    def _after_load(self) -> None:
        """Set what ``__init__`` would have set beside ``record`` and ``network``."""

    def _before_training(self) -> None:
        """Drop what was derived from weights that are about to change."""

    # ------------------------------------------------------------------ disk

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a model that :meth:`save` wrote, or the newest checkpoint of a training run.

        Parameters
        ----------
        path
            The folder.

        Returns
        -------
        The model, on the CPU.

        Raises
        ------
        CheckpointError
            The folder is none of a model of this kind; its subclasses tell damage, a pickle, and
            weights of another model apart.
        """
        folder = Path(path)
        if folder.is_dir() and any(folder.glob("step_*/model.json")):
            folder = latest_checkpoint(folder)
        model = cls.__new__(cls)
        model.record, model.network = cls._unpack(folder)
        model._after_load()
        return model

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write weights and everything that explains them as safetensors and JSON into a folder.

        Parameters
        ----------
        path
            Folder to make.
        overwrite
            Replace an earlier model there.

        Returns
        -------
        The folder. It appears whole or not at all.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        CheckpointError
            The folder exists, or holds something else.
        """
        return write_folder(path, {"model": self._pack(self.record)}, overwrite=overwrite)

    def _pack(self, record: RecordT) -> Bundle:
        """A bundle of the weights and a record; nothing is shared with the model but the tensors'
        memory.
        """
        data = {"kind": self._kind, "versions": versions(), **record.to_json()}
        return Bundle(dict(self._network().state_dict()), data, {**self._marks(), "kind": self._kind})

    @classmethod
    def _unpack(cls, folder: Path | str) -> tuple[RecordT, NetworkT]:
        bundle = read_kind(folder, cls._kind)
        with refused_if_misstated(folder, cls._kind):
            record = cls._read_record(bundle.data)
        cls._check_marks(record, bundle, folder)
        check_intact(bundle, folder)
        with refused_if_misstated(folder, cls._kind):
            network = cls._blank_network(record)
        load_weights(network, bundle.tensors, folder)
        return record, network.eval()

    # ------------------------------------------------------------------ training

    def _fit(self, run: Run, build: Callable[[], NetworkT]) -> None:
        """Train, or continue a run; ``build`` makes the network if there is none yet."""
        record = self.record
        state = initial_state(run.options, run.config, run_identity(record, run), steps_per_epoch=len(run.loaders.train))
        if run.options.resume_from is not None:  # nothing of the model has changed up to here
            self.network = self._unpack(latest_checkpoint(run.options.resume_from))[1]
        network = self.network = build() if self.network is None else self.network
        self._before_training()
        record.data_fingerprint, record.train = run.data_fingerprint, run.config.to_json()
        for name, value in run.findings.items():
            setattr(record, name, value)

        def checkpoint() -> Bundle:
            so_far: dict[str, Any] = {"history": state.history, "mask_ratios": state.mask_ratios, "blind_loss": state.blind_loss}
            return self._pack(replace(record, trained=True, **so_far))

        network.train()
        result = fit(
            network, run.objective, record.law, run.loaders, run.config, seed=record.seed, options=run.options, state=state,
            bundle=checkpoint,
        )  # fmt: skip
        network.eval()
        record.history, record.mask_ratios, record.blind_loss = result.history, result.mask_ratios, result.blind_loss
        record.trained = True

    # ------------------------------------------------------------------ state

    def checksum(self) -> str:
        """sha256 of kind, configuration and weights: equal for models that compute the same,
        whatever their history or device.

        Returns
        -------
        64 hexadecimal digits.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        """
        explanation = {"kind": self._kind, "config": self.record.config.to_json(), **self._marks()}
        return checksum(self._network(), explanation)

    @staticmethod
    def versions() -> dict[str, str]:
        """Versions of this package and of what its results depend on.

        Returns
        -------
        Version by name.
        """
        return versions()

    @property
    def is_trained(self) -> bool:
        """Whether the weights were trained."""
        return self.record.trained

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: losses in nats per hidden gene or base, overall and by mask ratio,
        learning rate, throughput per second.
        """
        return pd.DataFrame(self.record.history)

    @property
    def blind_loss(self) -> float:
        """Loss of a prediction that sees nothing, under the validation masks, nats per hidden gene
        or base; to be beaten.
        """
        return self.record.blind_loss

    @property
    def mask_ratio(self) -> RatioLaw:
        """Law of the mask ratio."""
        return self.record.law

    def _network(self) -> NetworkT:
        if self.network is None:
            message = "The model has no weights yet; call train(), or initialize() for an untrained control."
            raise NotTrainedError(message)
        return self.network
