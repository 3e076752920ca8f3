"""Plain data, as JSON gives them, against the types that they should have."""

from __future__ import annotations

from numbers import Integral, Real
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["check_form"]

_NUMBERS: Final = {int: Integral, float: Real}
"""What also counts as a number, such as those of NumPy."""


def check_form(data: Mapping[str, Any], form: Mapping[str, Any], *, optional: Collection[str] = ()) -> None:
    """Refuse plain data in which an entry is missing or of another type.

    Parameters
    ----------
    data
        The data; further entries are not looked at.
    form
        Type of each entry: ``bool``, ``int``, ``float`` (whole numbers too), ``str``, ``None``,
        ``Any``, lists, tuples (lists too), dictionaries, unions and literals of these.
    optional
        Entries that may be missing.

    Raises
    ------
    ConfigError
        An entry is missing or of another type; the message names it.

    Examples
    --------
    >>> from r2mae_bio.config._form import check_form
    >>> check_form({"seed": 3, "losses": [0.5, 1]}, {"seed": int, "losses": list[float]})
    """
    for name, kind in form.items():
        if name not in data:
            if name in optional:
                continue
            message = f"{name} is missing."
            raise ConfigError(message)
        if not _fits(data[name], kind):
            message = f"{name} is {repr(data[name])[:80]}; needed is {_shown(kind)}."
            raise ConfigError(message)


def _shown(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin in (list, tuple):
        allowed = (list, tuple) if origin is tuple else list
        return isinstance(value, allowed) and all(_fits(entry, parts[0]) for entry in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(k, parts[0]) and _fits(v, parts[1]) for k, v in value.items())
    if kind in (None, NoneType):
        return value is None
    return isinstance(value, _NUMBERS.get(kind, kind)) and (kind is bool or not isinstance(value, bool))
