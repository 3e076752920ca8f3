"""Doors that load what lies behind them when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["lazily"]


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
