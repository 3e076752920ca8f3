"""A model of any kind as tensors and plain data, and back."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio._errors import CheckpointError, ConfigError, CorruptCheckpointError, DataError
from r2mae_bio._version import __version__
from r2mae_bio.core._checkpoint import read_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from r2mae_bio.core._checkpoint import Bundle

_RECORDED = ("torch", "pytorch-lightning", "numpy", "anndata", "scanpy", "safetensors")


def versions() -> dict[str, str]:
    """Versions of this package, Python and what the result depends on."""
    found = {"r2mae_bio": __version__, "python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def checksum(network: nn.Module, explanation: Mapping[str, Any]) -> str:
    """sha256 of weights and of the plain data that explain them; the device does not matter.

    Parameters
    ----------
    network
        Its parameters and buffers are read.
    explanation
        Anything that JSON holds.

    Returns
    -------
    64 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(explanation, sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def read_kind(path: Path | str, kind: str) -> Bundle:
    """Read the bundle of a model, and refuse one of another kind.

    Parameters
    ----------
    path
        Folder written by ``save``.
    kind
        Name of the class that wants to read it.

    Raises
    ------
    CheckpointError
        There is no folder, or it holds a model of another kind; the message names the class to use.
    CorruptCheckpointError
        A file is damaged.
    UnsafeCheckpointError
        A pickle stands in place of a file.
    """
    bundle = read_bundle(path, "model")
    with refused_if_misstated(path, kind):
        found = bundle.data["kind"]
    if found != kind:
        message = (
            f"{path} holds a {found}, and {kind}.load was asked to read it; load it with r2mae_bio.model.{found}.load, "
            f"or pass a folder written by {kind}.save."
        )
        raise CheckpointError(message)
    return bundle


@contextmanager
def refused_if_misstated(path: Path | str, kind: str) -> Iterator[None]:
    """Turn errors met while plain data become a record or a network into a
    :class:`CorruptCheckpointError`.

    Parameters
    ----------
    path
        Where the data come from, for the message.
    kind
        Name of the class that reads them.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, ConfigError, DataError) as error:
        message = f"{path} lacks or misstates part of a {kind} ({error}); it was written by another program or version."
        raise CorruptCheckpointError(message) from error


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], path: Path | str) -> None:
    """Put tensors into a network, all of them and no others.

    Parameters
    ----------
    network
        Of the shape that the configuration says; changed in place.
    tensors
        Its parameters and buffers, by name.
    path
        Where they come from, for the message.

    Raises
    ------
    CorruptCheckpointError
        Names or shapes differ.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        message = f"The weights in {path} do not fit the configuration beside them: {error}"
        raise CorruptCheckpointError(message) from error
