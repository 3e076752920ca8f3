"""A model of any kind as tensors and plain data, and back."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio._errors import CheckpointError, CorruptCheckpointError
from r2mae_bio._version import __version__
from r2mae_bio.config._form import check_form
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
        check_form(bundle.data, {"kind": str})
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
    except MemoryError as error:
        message = f"{path} holds a {kind} larger than memory; a size in it is misstated, or needs a larger machine."
        raise CorruptCheckpointError(message) from error
    # RuntimeError is what torch raises for sizes that no network can have
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError) as error:
        message = f"{path} lacks or misstates part of a {kind} ({str(error).rstrip('.')}); it was written by another program or version."
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
        Names, shapes or kinds of numbers differ, or a weight is not finite.
    """
    problem = misfit(network.state_dict(), tensors)
    if problem:
        message = f"The weights in {path} do not fit the configuration beside them: {problem}."
        raise CorruptCheckpointError(message)
    network.load_state_dict(tensors)


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with matrices as float16, where that holds their largest number.

    Vectors stay as they are: there are few of them, and shares of genes are too small for float16.

    Parameters
    ----------
    tensors
        By name.

    Returns
    -------
    The same names.
    """
    half = {name: tensor.half() for name, tensor in tensors.items() if tensor.ndim > 1 and tensor.is_floating_point()}
    return {**tensors, **{name: tensor for name, tensor in half.items() if bool(torch.isfinite(tensor).all())}}


def misfit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Why tensors cannot take the place of others, which torch itself does not always ask: it makes
    one number of many, and real numbers of complex ones.

    Parameters
    ----------
    wanted
        Tensors of the right shapes and types, by name.
    found
        What was read; floating point of any width will do for floating point.

    Returns
    -------
    The first reason in words, empty if there is none.
    """
    missing, more = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or more:
        return f"tensors are missing ({', '.join(missing[:3]) or 'none'}) or unknown ({', '.join(more[:3]) or 'none'})"
    for name, tensor in found.items():
        like = wanted[name]
        if tensor.shape != like.shape:
            return f"{name} has the shape {tuple(tensor.shape)}; needed is {tuple(like.shape)}"
        if tensor.dtype != like.dtype and not (tensor.is_floating_point() and like.is_floating_point()):
            return f"{name} is of {tensor.dtype}; needed is {like.dtype}"
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return f"{name} holds numbers that are not finite"
    return ""
