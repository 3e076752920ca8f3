"""Doors that load what lies behind them when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from r2mae_bio._warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazily", "moved"]


def lazily(door: str, where: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package needs to offer names whose modules are imported on first use.

    Parameters
    ----------
    door
        ``__name__`` of the package.
    where
        Names, separated by spaces, by the module that defines them, written without ``r2mae_bio.``.

    Returns
    -------
    The package's ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    modules = {name: f"r2mae_bio.{module}" for module, names in where.items() for name in names.split()}
    names = sorted(modules)

    def get(name: str) -> Any:
        if name not in modules:
            message = f"module {door!r} has no attribute {name!r}; it has {', '.join(names)}"
            raise AttributeError(message)
        return getattr(import_module(modules[name]), name)

    return get, lambda: list(names), names


def moved(door: str, where: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """As :func:`lazily`, for a module whose names have gone elsewhere; each use warns of it.

    Parameters
    ----------
    door, where
        As for :func:`lazily`.

    Returns
    -------
    The same three.
    """
    get, names, everything = lazily(door, where)
    homes = {name: f"r2mae_bio.{module}" for module, listed in where.items() for name in listed.split()}

    def get_and_warn(name: str) -> Any:
        thing = get(name)
        message = f"{door}.{name} is the name of version 0.1.0 for what now is in {homes[name]}; this name goes in 0.3.0."
        warn(message, DeprecationWarning)
        return thing

    return get_and_warn, names, everything
