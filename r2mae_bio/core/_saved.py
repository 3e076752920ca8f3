"""What every saved thing has: a network, a record that explains it, a folder, and a device."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import pandas as pd
from torch import nn

from r2mae_bio._errors import NotTrainedError, SetupError
from r2mae_bio._html._curves import curves_svg
from r2mae_bio._html._page import page
from r2mae_bio._keys import first_names
from r2mae_bio.config._names import answers_scvi
from r2mae_bio.core._bundle import halved, load_weights, read_kind, refused_if_misstated, versions
from r2mae_bio.core._checkpoint import Bundle, check_intact, write_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

__all__ = ["Saved", "SavedClassifier", "open_model"]


class _Record(Protocol):
    """What explains the weights."""

    @property
    def history(self) -> list[dict[str, float]]: ...

    def to_json(self) -> dict[str, Any]: ...


class _Loads(Protocol):
    @classmethod
    def load(cls, path: Path, /) -> Any: ...


class _Classes(_Record, Protocol):
    @property
    def classes(self) -> list[Any]: ...


RecordT = TypeVar("RecordT", bound=_Record)
ClassifierRecordT = TypeVar("ClassifierRecordT", bound=_Classes)
NetworkT = TypeVar("NetworkT", bound=nn.Module)
ModelT = TypeVar("ModelT")


class Saved(ABC, Generic[RecordT, NetworkT]):
    """A network and its record, and their way to disk; made by its subclasses.

    A subclass says how its files are named (:attr:`_kind`), read (:meth:`_read_record`,
    :meth:`_blank_network`), recognised (:meth:`_marks`, :meth:`_check_marks`), and what else it
    needs to have once it was read (:meth:`_after_load`).
    """

    _kind: ClassVar[str]
    """Name of the class, kept in every file, so that one class does not read the files of another.
    """
    record: RecordT
    network: NetworkT | None
    _rank: int = 0
    """Number of this process among those that trained the model together."""

    # ------------------------------------------------------------------ what a subclass fills

    @classmethod
    @abstractmethod
    def _read_record(cls, data: dict[str, Any]) -> RecordT:
        """The record from plain data; errors are those of :meth:`ModelRecord.from_json`."""

    @classmethod
    @abstractmethod
    def _blank_network(cls, record: RecordT) -> NetworkT:
        """A network of the record's sizes, whose weights are about to be replaced."""

    @classmethod
    def _folder_of(cls, path: Path) -> Path:
        """The folder to read where the user named ``path``."""
        return path

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

    # ------------------------------------------------------------------ disk

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path
            The folder.

        Returns
        -------
        The same, on the CPU.

        Raises
        ------
        CheckpointError
            The folder holds nothing of this kind; its subclasses tell damage, a pickle, and weights
            of another model apart.
        """
        return cls._loaded(path, cls._blank_network)

    @classmethod
    def _loaded(cls, path: Path | str, blank: Callable[[RecordT], NetworkT]) -> Self:
        """Read a folder into the network that ``blank`` makes of its record."""
        made = cls.__new__(cls)
        made.record, made.network = cls._unpack(cls._folder_of(Path(path).expanduser()), blank)
        made._after_load()
        return made

    @answers_scvi(
        "path prefix overwrite save_anndata save_kwargs legacy_mudata_format datamodule",
        dir_path="it is named path here",
        prefix="a model is a folder of its own; put the prefix into its name",
        save_anndata="a model is saved without data; write them by adata.write_h5ad()",
        save_kwargs="weights are written as safetensors",
        legacy_mudata_format="a model is saved without data",
        datamodule="a model is saved without data",
    )
    def save(self, path: Path | str, *, overwrite: bool = False, half_precision: bool = False) -> Path:
        """Write weights and everything that explains them as safetensors and JSON into a folder.

        Parameters
        ----------
        path
            Folder to make.
        overwrite
            Replace an earlier one there.
        half_precision
            Write matrices as float16, half the size; they are read as float32, and embeddings move
            by about a thousandth of their spread. To train further, keep full precision.

        Returns
        -------
        The folder. It appears whole or not at all. Of several processes that trained the model
        together the first writes.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        CheckpointError
            The folder exists, or holds something else.
        """
        path = Path(path).expanduser()
        if self._rank:
            self._network()
            return path
        bundle = self._pack(self.record)
        if half_precision:
            bundle = replace(bundle, tensors=halved(bundle.tensors))
        return write_folder(path, {"model": bundle}, overwrite=overwrite)

    def _pack(self, record: RecordT) -> Bundle:
        """A bundle of the weights and a record; nothing is shared with the model but the tensors'
        memory.
        """
        data = {"kind": self._kind, "versions": versions(), **record.to_json()}
        return Bundle(dict(self._network().state_dict()), data, {**self._marks(), "kind": self._kind})

    @classmethod
    def _unpack(cls, folder: Path | str, blank: Callable[[RecordT], NetworkT]) -> tuple[RecordT, NetworkT]:
        bundle = read_kind(folder, cls._kind)
        with refused_if_misstated(folder, cls._kind):
            record = cls._read_record(bundle.data)
        cls._check_marks(record, bundle, folder)
        check_intact(bundle, folder)
        with refused_if_misstated(folder, cls._kind):
            network = blank(record)
        load_weights(network, bundle.tensors, folder)
        return record, network.eval()

    # ------------------------------------------------------------------ state

    @property
    def history(self) -> pd.DataFrame:
        """What was noted while it was trained, one row at a time."""
        return pd.DataFrame(self.record.history)

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

    def describe(self) -> dict[str, str]:
        """What there is to know about it at a glance, as model cards and notebooks show it.

        Returns
        -------
        Text by name.
        """
        n_weights = 0 if self.network is None else sum(weights.numel() for weights in self.network.parameters())
        return {"weights": f"{n_weights:,}" if n_weights else "none yet"}

    def _repr_html_(self) -> str:
        """Shown by notebooks in place of ``repr``."""
        return page(self._kind, self.describe(), self._curves())

    def _curves(self) -> str:
        """What was noted while it was trained, drawn."""
        history = self.record.history
        losses = {name: [row.get(name, nan) for row in history] for name in ("train_loss", "validation_loss", "dev_loss")}
        level = getattr(self.record, "blind_loss", nan)
        return curves_svg(losses, level=level, level_name="blind", unit="nats")

    def _network(self) -> NetworkT:
        if self.network is None:
            message = "The model has no weights yet; call train(), or initialize() for an untrained control."
            raise NotTrainedError(message)
        return self.network


class SavedClassifier(Saved[ClassifierRecordT, NetworkT]):
    """A network that tells classes apart, in evaluation mode, and the record that explains it."""

    def __init__(self, network: NetworkT, record: ClassifierRecordT) -> None:
        self.network, self.record = network.eval(), record

    @property
    def classes(self) -> list[Any]:
        """The classes, in the order of the probabilities."""
        return self.record.classes

    def describe(self) -> dict[str, str]:
        """What there is to know about it at a glance, as model cards and notebooks show it.

        Returns
        -------
        Text by name.
        """
        return {"classes": f"{len(self.classes)}: {first_names(list(map(str, self.classes)), most=20)}", **super().describe()}


def open_model(model: ModelT | str | os.PathLike[str], cls: type[_Loads], method: str | None = None, *, what: str) -> ModelT:
    """A model, read from its folder if need be.

    Parameters
    ----------
    model
        A model, or the folder of a saved one.
    cls
        Class that reads the folder.
    method
        Name of the method that will be called; a model of another class, or of another package, is
        taken if it has it. If None, the model must be of ``cls``.
    what
        What is needed, for the message, such as "model of DNA".

    Returns
    -------
    The model.

    Raises
    ------
    SetupError
        It is no such model.
    CheckpointError
        The folder holds no model of this class, or a damaged one.
    """
    if isinstance(model, str | os.PathLike):
        model = cast("ModelT", cls.load(Path(model)))
    fits = isinstance(model, cls) if method is None else callable(getattr(model, method, None))
    if isinstance(model, type) or not fits:
        found = (
            f"the class {model.__name__}, not one of its instances" if isinstance(model, type) else f"a {type(model).__name__}"
        )
        lacks = "" if method is None or isinstance(model, type) else f", which has no method {method}()"
        message = f"The model is {found}{lacks}; needed is a {what}, such as {cls.__name__}."
        raise SetupError(message)
    return model
