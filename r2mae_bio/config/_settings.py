"""What all settings share: they are checked, frozen, and go to JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, get_type_hints

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._form import check_form
from r2mae_bio.config._names import check_names

__all__ = ["Settings", "check_batch_size", "check_setting"]


def check_setting(condition: bool, message: str) -> None:  # noqa: FBT001
    if not condition:
        raise ConfigError(message)


def check_batch_size(batch_size: Any, rows: str) -> None:
    """Refuse a batch size that is no positive whole number; True is none, which stands where
    scvi-tools has ``give_mean``.

    Parameters
    ----------
    batch_size
        What the user asked for.
    rows
        What it counts, for the message, such as "cells".

    Raises
    ------
    ConfigError
        It is none.
    """
    whole = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    check_setting(whole and batch_size >= 1, f"batch_size is {batch_size!r}; needed is a positive number of {rows}, or None.")


@dataclass(frozen=True)
class Settings:
    """What all settings can do; made with a name that is unknown or a value of another type, they
    say so before they are made.
    """

    if not TYPE_CHECKING:  # a type checker should go on knowing which settings there are

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            names = [field.name for field in dataclasses.fields(cls)]
            check_names(kwargs, names, what=cls.__name__)
            types = get_type_hints(cls)
            check_form(dict(zip(names, args, strict=False)) | kwargs, types, optional=types)
            return super().__new__(cls)

    def to_json(self) -> dict[str, Any]:
        """The settings as a plain dictionary, numbers of NumPy as those of Python."""
        return {
            name: value.item() if isinstance(value, np.generic) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], *, complete: bool = False) -> Self:
        """Settings from :meth:`to_json`.

        Parameters
        ----------
        data
            The dictionary.
        complete
            Refuse a dictionary that leaves a setting to its default, as no file does that was
            written whole.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            A setting is unknown, of another type, or missing.
        """
        unknown = sorted(set(data) - {f.name for f in dataclasses.fields(cls)})
        check_setting(not unknown, f"Unknown settings {unknown} for {cls.__name__}; was the file written by a newer version?")
        types = get_type_hints(cls)
        check_form(data, types, optional=() if complete else types)
        return cls(**data)
