"""A fine-tuned classifier of sequences, with its classes and its way to disk."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.config._form import check_form
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.core._record import HISTORY
from r2mae_bio.core._saved import SavedClassifier
from r2mae_bio.dna.fit._finetune import LinearChoice, finetune_classifier
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes
from r2mae_bio.dna.model._encoders import build_encoder, describe_encoder
from r2mae_bio.dna.network._classifier import SequenceClassifierHead, SequenceClassifierNetwork
from r2mae_bio.dna.sequences._sequences import read_sequences
from r2mae_bio.dna.sequences._table import encode_sequences, read_sequence_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["ClassifierRecord", "SequenceClassifier", "finetune_sequences"]


@dataclass(frozen=True)
class ClassifierRecord:
    """Everything of a classifier but its weights."""

    classes: list[str]
    """Names of the classes, in the order of the probabilities."""
    length: int | None
    """Length in bp of every sequence that can be read; None if any can."""
    both_strands: bool
    """Whether probabilities are the mean over both strands."""
    seed: int
    """Seed of the training."""
    config: FinetuneConfig
    """Settings of the training."""
    encoder: dict[str, Any]
    """Kind and settings of the encoder."""
    pretrained: str = ""
    """Checksum of the model it began with, empty if unknown."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """One row per look at the dev rows, of the states alone: step, train_loss, dev_loss (nats),
    dev_mcc.
    """
    linear: LinearChoice | None = None
    """The linear reading beside the states and the weights of both; None if there is none."""
    window: int | None = None
    """Longest sequence that the encoder was trained to read, bp; None if it is not known, as in
    older files, or there is none.
    """

    def to_json(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_json` makes an equal record; without a window, as in
        older files.
        """
        data = asdict(self)
        return data if self.window is not None else {name: value for name, value in data.items() if name != "window"}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record that :meth:`to_json` described."""
        check_form(data, {**_PLAIN, "window": int}, optional=("window",))
        linear = data.get("linear")  # absent from files that are older than the linear reading
        return cls(
            config=FinetuneConfig.from_json(data["config"], complete=True),
            linear=None if linear is None else LinearChoice.from_json(linear),
            window=data.get("window"),
            **{key: data[key] for key in _PLAIN},
        )


_PLAIN: dict[str, Any] = {
    "classes": list[str],
    "length": int | None,
    "both_strands": bool,
    "seed": int,
    "encoder": dict[str, Any],
    "pretrained": str,
    "history": HISTORY,
}


class SequenceClassifier(SavedClassifier[ClassifierRecord, SequenceClassifierNetwork]):
    """Classifies sequences; made by :func:`finetune_sequences` or :meth:`load`.

    Parameters
    ----------
    network
        Encoder and head.
    record
        The rest.
    """

    _kind: ClassVar[str] = "SequenceClassifier"

    def __repr__(self) -> str:
        up_to = "any length" if self.record.window is None else f"up to {self.record.window} bp"
        length = up_to if self.record.length is None else f"{self.record.length} bp"
        strands = "both strands" if self.record.both_strands else "the given strand"
        classes = f"{len(self.classes)} classes ({', '.join(self.classes[:5])})"
        return f"SequenceClassifier of {classes}, {length}, {strands}, {self.record.linear or 'states alone'}"

    @property
    def history(self) -> pd.DataFrame:
        """Looks at the dev rows while it was trained: step, train_loss, dev_loss (nats),
        dev_mcc.
        """
        return pd.DataFrame(self.record.history)

    def predict_proba(self, sequences: Path | str | Sequence[str] | pd.Series) -> pd.DataFrame:
        """Probabilities of the classes.

        Parameters
        ----------
        sequences
            A FASTA file, a list or a series, see :func:`r2mae_bio.io.read_sequences`.

        Returns
        -------
        One row per sequence, indexed by its name, one column per class, float32.

        Raises
        ------
        DataError
            A sequence has a length that cannot be read; its subclasses tell files and letters that
            are no DNA.
        """
        named = read_sequences(sequences)
        values = self._probabilities(encode_sequences(named.sequences))
        return pd.DataFrame(values, index=named.names, columns=self.classes)

    def predict(self, sequences: Path | str | Sequence[str] | pd.Series) -> pd.Series:
        """The most probable class of each sequence.

        Parameters
        ----------
        sequences
            As for :meth:`predict_proba`.

        Returns
        -------
        Class names, indexed by the sequences' names.
        """
        return self.predict_proba(sequences).idxmax(axis=1).rename("class")

    def evaluate(self, table: pd.DataFrame | Path | str, *, part: str = "test", **keys: Any) -> dict[str, float]:
        """Compare with true labels, over all rows of a part at once.

        Parameters
        ----------
        table
            Labelled sequences, see :func:`r2mae_bio.io.read_sequence_table`; the train rows must
            have the classes of this model.
        part
            ``"test"``, ``"dev"`` or ``"train"``.
        **keys
            ``sequence_key``, ``label_key`` and ``split_key`` if the columns are not ``sequence``,
            ``label`` and ``split``.

        Returns
        -------
        mcc, auroc, accuracy, macro_f1 and n, the number of rows.

        Raises
        ------
        ConfigError
            The part is none of these.
        DataError
            The part is empty, or the classes differ.
        """
        if part not in ("train", "dev", "test"):
            message = f"part is {part!r}; needed is 'train', 'dev' or 'test'."
            raise ConfigError(message)
        task = read_sequence_table(table, seed=self.record.seed, **keys)
        rows = getattr(task, part)
        if task.classes != self.classes or not len(rows):
            message = (
                f"The table has the classes {task.classes} and {len(rows)} {part} rows; needed are the classes {self.classes} "
                "and at least one row."
            )
            raise DataError(message)
        return {**class_metrics(rows.labels, self._probabilities(rows.codes)), "n": len(rows)}

    @classmethod
    def load(cls, path: Path | str, *, encoder: nn.Module | None = None) -> Self:
        """Read a classifier that :meth:`save` wrote.

        Parameters
        ----------
        path
            The folder.
        encoder
            A network of the kind that was fine-tuned, to take the weights, where it is not one of
            this package.

        Returns
        -------
        The classifier, on the CPU.

        Raises
        ------
        CheckpointError
            The folder holds something else; its subclasses tell damage and a pickle apart.
        """
        return cls._loaded(path, cls._blank_network if encoder is None else lambda record: _network(record, encoder))

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> ClassifierRecord:
        return ClassifierRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: ClassifierRecord) -> SequenceClassifierNetwork:
        return _network(record, build_encoder(record.encoder))

    def _probabilities(self, codes: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        length = self.record.length
        wrong = [row for row, sequence in enumerate(codes) if length is not None and len(sequence) != length]
        if wrong:
            message = (
                f"{len(wrong)} of {len(codes)} sequences do not have the {length} bp that this classifier reads by position, the first "
                f"has {len(codes[wrong[0]])}; pass sequences of {length} bp, cut as those it was trained on."
            )
            raise DataError(message)
        _check_lengths(codes, self.record.window)
        return predict_classes(self._network(), SequenceGroups(codes), both_strands=self.record.both_strands)


def finetune_sequences(
    network: nn.Module,
    table: pd.DataFrame | Path | str,
    *,
    sequence_key: str = "sequence",
    label_key: str = "label",
    split_key: str = "split",
    config: FinetuneConfig | None = None,
    seed: int = 0,
    window: int | None = None,
    pretrained: str = "",
    on_evaluation: Callable[[dict[str, float]], None] | None = None,
) -> SequenceClassifier:
    """Train a copy of an encoder, and a head, on labelled sequences; see
    :func:`r2mae_bio.dna.fit._finetune.finetune_classifier`.

    Parameters
    ----------
    network
        The encoder; it stays as it is.
    table, sequence_key, label_key, split_key
        The task, see :func:`r2mae_bio.io.read_sequence_table`.
    config
        Settings.
    seed
        Of dev rows where the table has none, head, order, strands and dropout.
    window
        Longest sequence that the encoder reads, bp; None for any.
    pretrained
        Checksum of the encoder, kept with the classifier.
    on_evaluation
        Called after each look at the dev rows.

    Returns
    -------
    The classifier.

    Raises
    ------
    DataError
        The table cannot be used, or a sequence is longer than ``window``.
    SetupError
        A column is missing.
    TrainingError
        The loss is not finite.
    """
    config = config or FinetuneConfig()
    seed = operator.index(seed)  # a NumPy number could not be saved
    window = None if window is None else operator.index(window)
    task = read_sequence_table(table, sequence_key=sequence_key, label_key=label_key, split_key=split_key, seed=seed)
    _check_lengths([*task.train.codes, *task.dev.codes, *task.test.codes], window)
    result = finetune_classifier(network, task, config=config, seed=seed, on_evaluation=on_evaluation)
    record = ClassifierRecord(
        classes=task.classes,
        length=task.length,
        both_strands=result.both_strands,
        seed=seed,
        config=config,
        encoder=describe_encoder(network),
        pretrained=pretrained,
        history=result.history,
        linear=result.linear,
        window=window,
    )
    return SequenceClassifier(result.network, record)


def _check_lengths(codes: list[NDArray[np.uint8]], window: int | None) -> None:
    """Refuse what the encoder was not trained to read, in training and after it alike."""
    longest = max(map(len, codes), default=0)
    if window is not None and longest > window:
        message = f"The longest sequence has {longest} bp, the model reads {window}; cut the sequences or use a model with a wider window."
        raise DataError(message)


def _network(record: ClassifierRecord, encoder: nn.Module) -> SequenceClassifierNetwork:
    config, n_classes = record.config, len(record.classes)
    head = SequenceClassifierHead(
        int(record.encoder["config"]["d_model"]),
        n_classes,
        length=record.length,
        n_hidden=config.n_hidden,
        n_projected=config.n_projected,
        dropout=config.dropout,
    )
    linear = None if record.linear is None else record.linear.features.reading(n_classes, record.length)
    return SequenceClassifierNetwork(encoder, head, linear=linear)
