"""What the verbs on DNA ask of a model, and the forms in which they take models and genomes."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

from r2mae_bio._errors import SetupError
from r2mae_bio.dna.genome._genome import Genome

_Model = TypeVar("_Model")


def open_model(model: _Model | str | Path, method: str) -> _Model:
    """A model of DNA, read from its folder if need be.

    Parameters
    ----------
    model
        A model, or the folder of a saved one.
    method
        The method that will be called.

    Returns
    -------
    The model.

    Raises
    ------
    SetupError
        It has no such method.
    CheckpointError
        The folder holds no model of DNA, or a damaged one.
    """
    if isinstance(model, str | Path):
        from r2mae_bio.dna.model._dna_mae import DNAMAE

        model = cast("_Model", DNAMAE.load(model))
    if not callable(getattr(model, method, None)):
        message = (
            f"The model is a {type(model).__name__}, which has no method {method}(); needed is a model of DNA, such as DNAMAE."
        )
        raise SetupError(message)
    return model


def open_genome(genome: Genome | str | Path) -> Genome:
    """A genome, opened from its FASTA file if need be.

    Parameters
    ----------
    genome
        A genome, or the path of its file.

    Returns
    -------
    The genome.

    Raises
    ------
    FastaError, CacheError
        The file cannot be read, or its cache not be written.
    """
    return genome if isinstance(genome, Genome) else Genome(genome)
