"""Encoders of bases as plain data, and back."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from r2mae_bio import config, nn
from r2mae_bio._errors import CheckpointError

if TYPE_CHECKING:
    from torch.nn import Module


def describe_encoder(encoder: Module) -> dict[str, Any]:
    """What it takes to build an encoder again: the names of its class and of its settings' class, and the settings.

    Parameters
    ----------
    encoder
        A network with ``config``.

    Returns
    -------
    Plain data with ``kind``, ``settings`` and ``config``.
    """
    settings: Any = encoder.config
    plain = settings.to_json() if hasattr(settings, "to_json") else _as_dict(settings)
    return {"kind": type(encoder).__name__, "settings": type(settings).__name__, "config": plain}


def build_encoder(description: dict[str, Any]) -> Module:
    """A network of this package, with weights that are still to be loaded.

    Parameters
    ----------
    description
        From :func:`describe_encoder`.

    Returns
    -------
    The network.

    Raises
    ------
    CheckpointError
        This package has no such network or settings.
    ConfigError
        A setting is unknown or out of range.
    """
    kind, settings = description["kind"], description["settings"]
    if kind not in nn.__all__ or settings not in config.__all__:
        message = f"The encoder is a {kind} with {settings}, which this package does not have; build one and pass it as encoder=."
        raise CheckpointError(message)
    return getattr(nn, kind)(getattr(config, settings).from_json(description["config"]))


def _as_dict(settings: Any) -> dict[str, Any]:
    return asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else dict(vars(settings))
