"""A model, or the folder of a saved one: the two forms in which verbs take models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from r2mae_bio._errors import SetupError

_Model = TypeVar("_Model")


class _Saved(Protocol):
    @classmethod
    def load(cls, path: Path, /) -> Any: ...


def open_model(model: _Model | str | os.PathLike[str], cls: type[_Saved], method: str, *, what: str) -> _Model:
    """A model, read from its folder if need be.

    Parameters
    ----------
    model
        A model, or the folder of a saved one. A model of another class, or of another package, is
        taken if it has ``method``.
    cls
        Class that reads the folder.
    method
        Name of the method that will be called.
    what
        What is needed, for the message, such as "model of DNA".

    Returns
    -------
    The model.

    Raises
    ------
    SetupError
        It has no such method.
    CheckpointError
        The folder holds no model of this class, or a damaged one.
    """
    if isinstance(model, str | os.PathLike):
        model = cast("_Model", cls.load(Path(model)))
    if not callable(getattr(model, method, None)):
        message = (
            f"The model is a {type(model).__name__}, which has no method {method}(); needed is a {what}, such as {cls.__name__}."
        )
        raise SetupError(message)
    return model
