"""Checkpoint folders of safetensors and JSON: written whole or not at all, verified when read,
never unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors

from r2mae_bio._errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError
from r2mae_bio._files import whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

FORMAT = "r2mae_bio checkpoint 1"
_LENGTH = 8  # bytes of a safetensors file that say how long its header is
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")


@dataclass(frozen=True, eq=False)
class Bundle:
    """Tensors and the plain data that explain them; on disk ``{name}.safetensors`` and
    ``{name}.json``.
    """

    tensors: dict[str, Tensor]
    """Named tensors."""
    data: dict[str, Any]
    """Anything that JSON holds."""
    metadata: dict[str, str]
    """Strings kept inside the safetensors file, to recognise a file put beside the wrong JSON."""
    intact: bool = True
    """Whether the safetensors file is, bit for bit, the one its JSON was written with."""


def write_folder(path: Path, bundles: Mapping[str, Bundle], *, overwrite: bool = False) -> Path:
    """Write bundles into a new folder.

    A crash leaves either the old folder or the new one.

    Parameters
    ----------
    path
        Folder to make.
    bundles
        Bundles by name.
    overwrite
        Replace an existing folder.

    Returns
    -------
    The folder.

    Raises
    ------
    CheckpointError
        The folder exists and ``overwrite`` is false, or it holds files that are not a checkpoint.
    """
    if path.exists():
        check_replaceable(path, bundles, overwrite=overwrite)
    with whole_folder(path, overwrite=overwrite) as temporary:
        for name, bundle in bundles.items():
            _write_bundle(temporary, name, bundle)
    return path


def check_replaceable(path: Path, bundles: Iterable[str], *, overwrite: bool) -> None:
    """Refuse a folder that exists, unless it is to be replaced and holds nothing but a checkpoint.

    Parameters
    ----------
    path
        Something that exists.
    bundles
        Names of the bundles to write.
    overwrite
        Replace it.

    Raises
    ------
    CheckpointError
        It stays.
    """
    if not overwrite:
        message = f"{path} exists already; pass overwrite=True to replace it, or choose another path."
        raise CheckpointError(message)
    ours = {f"{name}{suffix}" for name in (*bundles, "model", "state") for suffix in (".safetensors", ".json")}
    foreign = [] if not path.is_dir() else sorted(p.name for p in path.iterdir() if p.name not in ours)
    if foreign or not path.is_dir():
        what = f"holds {', '.join(foreign[:3])}" if foreign else "is a file"
        message = f"{path} {what}, which is not part of a checkpoint and would be lost; choose another path."
        raise CheckpointError(message)


def _write_bundle(folder: Path, name: str, bundle: Bundle) -> None:
    tensors = {k: t.detach().cpu().contiguous() for k, t in bundle.tensors.items()}
    weights = _with_sorted_metadata(to_safetensors(tensors, metadata=bundle.metadata))
    checks = {"safetensors": hashlib.sha256(weights).hexdigest(), "data": _digest(bundle.data)}
    text = json.dumps({"format": FORMAT, "sha256": checks, "data": bundle.data}, indent=1)
    (folder / f"{name}.safetensors").write_bytes(weights)
    (folder / f"{name}.json").write_bytes(text.encode())


def _with_sorted_metadata(file: bytes) -> bytes:
    """The same safetensors file with its metadata in the order of their names; safetensors writes
    them in a random one, so that the same model would be another file each time.
    """
    start = _LENGTH + int.from_bytes(file[:_LENGTH], "little")
    header = json.loads(file[_LENGTH:start])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH)  # tensors begin at a multiple of eight bytes
    return len(text).to_bytes(_LENGTH, "little") + text + file[start:]


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def read_bundle(path: Path | str, name: str) -> Bundle:
    """Read and verify one bundle of a checkpoint folder.

    Parameters
    ----------
    path
        The folder.
    name
        The bundle.

    Returns
    -------
    The bundle. Its metadata are for the caller to compare; then :func:`check_intact` tells a
    changed file.

    Raises
    ------
    CheckpointError
        There is no such folder.
    UnsafeCheckpointError
        A pickle stands where safetensors or JSON should.
    CorruptCheckpointError
        A file is missing, truncated or changed.
    """
    folder = Path(path)
    if not folder.is_dir():
        message = f"{folder} is not a folder; needed is a folder written by save()."
        raise CheckpointError(message)
    weights_file, data_file = folder / f"{name}.safetensors", folder / f"{name}.json"
    for file in (data_file, weights_file):
        _check_present(file)
    data, checks = _read_json(data_file)
    tensors, metadata = _read_safetensors(weights_file)
    return Bundle(tensors, data, metadata, _file_digest(weights_file) == checks.get("safetensors"))


def _check_present(file: Path) -> None:
    if not file.is_file():
        pickles = sorted(p.name for p in file.parent.iterdir() if p.suffix in _PICKLE_SUFFIXES)
        if pickles:
            _refuse_pickle(file.parent / pickles[0])
        message = f"{file} is missing; the checkpoint is incomplete. Save the model again, or copy the whole folder."
        raise CorruptCheckpointError(message)
    with file.open("rb") as stream:
        if stream.read(4).startswith(_PICKLE_STARTS):
            _refuse_pickle(file)


def _refuse_pickle(file: Path) -> None:
    message = (
        f"{file} is a pickle, which can run code when loaded; this package reads only safetensors and JSON. "
        "Load it with the program that wrote it, if you trust it, and save the model from there."
    )
    raise UnsafeCheckpointError(message)


def _read_json(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        content = json.loads(file.read_bytes())
        data, checks = content["data"], content["sha256"]
        intact = content["format"] == FORMAT and checks["data"] == _digest(data)
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        message = f"{file} cannot be read ({error}); it is damaged. Copy the checkpoint again from an intact one."
        raise CorruptCheckpointError(message) from error
    if not intact:
        message = f"{file} does not match its checksum or is not of format {FORMAT!r}; it was changed or damaged."
        raise CorruptCheckpointError(message)
    return data, checks


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(file, framework="pt") as stream:
            return {key: stream.get_tensor(key) for key in stream.keys()}, dict(stream.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        message = f"{file} cannot be read ({error}); it is damaged. Copy the checkpoint again from an intact one."
        raise CorruptCheckpointError(message) from error


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_intact(bundle: Bundle, path: Path | str) -> None:
    """Refuse a bundle whose safetensors file is not the one its JSON was written with.

    Parameters
    ----------
    bundle
        From :func:`read_bundle`.
    path
        Where it came from, for the message.

    Raises
    ------
    CorruptCheckpointError
        The checksum differs.
    """
    if not bundle.intact:
        message = f"The weights in {path} do not match their checksum; the file was changed or damaged. Copy it again."
        raise CorruptCheckpointError(message)
