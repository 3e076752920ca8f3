"""Labelled sequences in train, dev and test parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.genome._bases import encode_bases, reverse_complement
from r2mae_bio.dna.sequences._sequences import check_sequence

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LabelledSequences", "SequenceTable", "encode_sequences", "read_sequence_table"]


PARTS = ("train", "dev", "test")


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences as codes, and their classes as numbers."""

    codes: list[NDArray[np.uint8]]
    """Codes of each sequence, uint8 (L,)."""
    labels: NDArray[np.int64]
    """Number of each sequence's class (sequences,)."""

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.intp]) -> LabelledSequences:
        """The sequences of some rows, in that order."""
        return LabelledSequences([self.codes[i] for i in rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class SequenceTable:
    """A classification task: what is learned from, chosen by, and scored once."""

    classes: list[str]
    """Names of the classes, sorted; numbers sort as numbers."""
    train: LabelledSequences
    """Learned from."""
    dev: LabelledSequences
    """Strengths and steps are chosen by it."""
    test: LabelledSequences
    """Scored once."""
    dev_from_train: bool
    """Whether ``dev`` was drawn from the train rows because the table had none."""

    @property
    def length(self) -> int | None:
        """Length of the sequences in bp if all have the same, else None."""
        lengths = {len(codes) for part in (self.train, self.dev, self.test) for codes in part.codes}
        return lengths.pop() if len(lengths) == 1 else None

    def n_shared(self) -> int:
        """Test rows whose sequence, or its reverse complement, is also a train or dev row."""
        seen = {codes.tobytes() for part in (self.train, self.dev) for codes in part.codes}
        return sum(codes.tobytes() in seen or reverse_complement(codes).tobytes() in seen for codes in self.test.codes)


def read_sequence_table(
    source: pd.DataFrame | Path | str,
    *,
    sequence_key: str = "sequence",
    label_key: str = "label",
    split_key: str = "split",
    dev_fraction: float = 0.1,
    seed: int = 0,
) -> SequenceTable:
    """Read labelled sequences.

    Parameters
    ----------
    source
        A frame, or the path of a table with tabs between its columns, plain or gzip.
    sequence_key
        Column of the bases; case does not matter. N and the other IUPAC codes count as unknown.
    label_key
        Column of the classes.
    split_key
        Column that says ``train``, ``dev`` or ``test``. Where there is no dev row, ``dev_fraction``
        of the train rows of each class become dev rows.
    dev_fraction
        See ``split_key``.
    seed
        Seed of that draw.

    Returns
    -------
    The three parts. The test part may be empty.

    Raises
    ------
    SetupError
        A column is missing.
    DataError
        A sequence or a label is missing, a part is named otherwise, there is no train row, train
        rows have fewer than two classes or other rows have one that they lack. Its subclass
        NotDNAError tells a letter that is neither a base nor an IUPAC code, such as U or a blank.
    """
    frame = source if isinstance(source, pd.DataFrame) else _read(Path(source), sequence_key)
    _check_columns(frame, (sequence_key, label_key, split_key))
    part = frame[split_key].astype(str).to_numpy(dtype=object)
    foreign = sorted({str(name) for name in part} - set(PARTS))  # from pandas 3 on, astype(str) leaves missing ones missing
    if foreign:
        message = f"Column {split_key!r} holds {', '.join(map(repr, foreign[:5]))}; needed are 'train', 'dev' and 'test'."
        raise DataError(message)
    classes, labels = _classes(frame[label_key], part)
    dev_from_train = "dev" not in part
    if dev_from_train:
        part = _draw_dev(part, labels, dev_fraction, seed)
    everything = LabelledSequences(encode_sequences(frame[sequence_key].tolist()), labels)
    parts = {name: everything.take(np.flatnonzero(part == name)) for name in PARTS}
    return SequenceTable(classes, **parts, dev_from_train=dev_from_train)


def encode_sequences(sequences: list[str]) -> list[NDArray[np.uint8]]:
    """Codes of many sequences, each uint8 (L,): A 0, C 1, G 2, T 3, N and the other IUPAC codes 4.

    Parameters
    ----------
    sequences
        Text of at least one base each.

    Returns
    -------
    The codes.

    Raises
    ------
    FastaError
        One is not text, or is empty.
    NotDNAError
        One holds another letter.
    """
    for row, sequence in enumerate(sequences):
        check_sequence(f"The sequence of row {row}", sequence)
    if not sequences:
        return []
    ends = np.cumsum([len(sequence) for sequence in sequences])[:-1]
    return np.split(encode_bases("".join(sequences)), ends)


def _read(path: Path, sequence_key: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", dtype={sequence_key: str}, keep_default_na=False, na_values=[""])
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        message = f"{path} cannot be read as a table with tabs between its columns ({error}); check the file."
        raise DataError(message) from error


def _check_columns(frame: pd.DataFrame, keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in frame]
    if missing:
        message = f"There is no column {', '.join(map(repr, missing))}; the table has {', '.join(map(repr, frame.columns))}."
        raise SetupError(message)


def _classes(values: pd.Series, part: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64]]:
    if values.isna().any():
        message = f"{int(values.isna().sum())} of {len(values)} labels are missing; drop these rows first."
        raise DataError(message)
    known = sorted(values[part == "train"].unique().tolist(), key=lambda v: (isinstance(v, str), v))
    if len(known) < 2:
        message = f"The train rows have the classes {known}; needed are train rows of at least two classes."
        raise DataError(message)
    labels = pd.Index(known).get_indexer(pd.Index(values))
    if (labels < 0).any():
        message = f"No train row has the class {values.to_numpy()[labels < 0][0]!r}, which other rows have; it cannot be learned."
        raise DataError(message)
    return [str(label) for label in known], labels.astype(np.int64)


def _draw_dev(part: NDArray[np.object_], labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.object_]:
    """Name some train rows dev, class by class, at least one of each class and never all of
    them.
    """
    if not 0 < fraction < 1:
        message = f"dev_fraction is {fraction}; needed is a share above 0 and below 1."
        raise DataError(message)
    part, rng = part.copy(), derive_generator(seed, "dev-rows")
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero((labels == label) & (part == "train")))
        part[rows[: min(max(round(fraction * len(rows)), 1), len(rows) - 1)]] = "dev"
    if "dev" not in part:
        message = "No class has two train rows, so none can become a dev row; pass more rows, or dev rows."
        raise DataError(message)
    return part
