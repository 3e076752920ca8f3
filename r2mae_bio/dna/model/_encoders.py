"""Encoders of bases as plain data, and back."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import CheckpointError
from r2mae_bio.config import DNAConfig
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder

if TYPE_CHECKING:
    from torch.nn import Module

# By the names that saved classifiers hold.
_NETWORKS = {"DNAMaskedAutoencoder": DNAMaskedAutoencoder}
_SETTINGS = {"DNAConfig": DNAConfig}


def describe_encoder(encoder: Module) -> dict[str, Any]:
    """What it takes to build an encoder again: the names of its class and of its settings' class,
    and the settings.

    Parameters
    ----------
    encoder
        A network with ``config``.

    Returns
    -------
    Plain data with ``kind``, ``settings`` and ``config``.
    """
    settings: Any = encoder.config
    if hasattr(settings, "to_json"):
        plain = settings.to_json()
    else:  # the settings of an encoder of another package
        plain = asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else dict(vars(settings))
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
    if kind not in _NETWORKS or settings not in _SETTINGS:
        message = f"The encoder is a {kind} with {settings}, which this package does not have; build one and pass it as encoder=."
        raise CheckpointError(message)
    return _NETWORKS[kind](_SETTINGS[settings].from_json(description["config"]))
