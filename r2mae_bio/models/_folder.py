"""Saved models of every class, opened by name or folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from r2mae_bio._errors import DataError
from r2mae_bio.cells.model._classifier import CellClassifier
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.dna.model._classifier import SequenceClassifier
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.models._entries import path as path_of
from r2mae_bio.models._entries import registry

if TYPE_CHECKING:
    import os

__all__ = ["KINDS", "folder_of", "kind_of", "load"]

Model = GeneMAE | DNAMAE | CellClassifier | SequenceClassifier

KINDS: Final = {cls.__name__: cls for cls in (CellClassifier, DNAMAE, GeneMAE, SequenceClassifier)}
"""Classes of saved models, by the name that their files carry."""


def load(model: str | os.PathLike[str], *, cache_dir: str | Path | None = None) -> Model:
    """A trained model by its name, or any saved model by its folder.

    Parameters
    ----------
    model
        A name of :func:`registry`, or a folder written by ``save``; a folder wins.
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    The model, on the CPU, of the class that was saved.

    Raises
    ------
    DataError
        There is neither such a folder nor such a name, or the download failed.
    CheckpointError
        The folder holds no model, or a damaged one.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> model = rb.models.load("blood-small")
    >>> adata = rb.datasets.pbmc68k()
    >>> rb.tl.embed(adata, model)
    >>> adata.obsm["X_r2mae"].shape
    (700, 64)
    """
    folder = folder_of(model, cache_dir=cache_dir)
    return KINDS[kind_of(folder)].load(folder)


def folder_of(model: str | os.PathLike[str], *, cache_dir: str | Path | None = None) -> Path:
    """The folder that a user means by a path, or by a name of the list.

    Parameters
    ----------
    model, cache_dir
        As for :func:`load`.

    Returns
    -------
    The folder.

    Raises
    ------
    DataError
        There is neither.
    """
    folder = Path(model).expanduser()
    if folder.exists():
        return folder
    known = registry()
    if str(model) not in known:
        message = f"{folder} does not exist; needed is a folder written by save(), or a ready-made model: {', '.join(known)}."
        raise DataError(message)
    return path_of(str(model), cache_dir=cache_dir)


def kind_of(folder: Path) -> str:
    """Name of the class whose ``load`` reads a folder; ``GeneMAE``, which then says what is wrong,
    if the folder does not tell.

    Parameters
    ----------
    folder
        A saved model, or the checkpoints of a run.

    Returns
    -------
    A key of :data:`KINDS`.
    """
    files = [folder / "model.json", *sorted(folder.glob("step_*/model.json"), reverse=True)]
    try:
        kind = json.loads(next(file for file in files if file.is_file()).read_bytes())["data"]["kind"]
    except (StopIteration, OSError, ValueError, LookupError, TypeError):
        return "GeneMAE"
    return kind if kind in KINDS else "GeneMAE"
