"""Damage to bytes, lines, JSON and safetensors; every function draws from the generator it is
given.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from Bio.bgzf import BgzfWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np

FIELDS = (
    "", ".", "*", "-1", "0", "1", "+3", " 5", "1.5", "1e3", "nan", "NaN", "inf", "true", "None", "0x10", "2147483648",
    "9" * 25, "abc", "N", "ACGT", "<DEL>", "A,C", "G,,T", "é", "١٢", "a b", "\0", "\x1a", "x" * 3000, "#", ">", "chr1", "-", '"', "'",
)  # fmt: skip
"""What replaces a field of a line."""
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 1.5, 1e308, float("nan"), 10**30, "", "text", "1", [], [1, 2], [[]], {}, {"a": 1},
)  # fmt: skip
"""What replaces a value in JSON."""


def some(rng: np.random.Generator, things: Sequence[Any]) -> Any:
    """One of them."""
    return things[int(rng.integers(len(things)))]


def place(rng: np.random.Generator, size: int) -> int:
    """A position from 0 to ``size - 1``; beginnings and ends, where headers and trailers are, more
    often than by chance.
    """
    kind, near = int(rng.integers(4)), int(rng.integers(min(size, 64)))
    return near if kind == 0 else size - 1 - near if kind == 1 else int(rng.integers(size))


def damage_bytes(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """One kind of damage to bytes, and its name."""
    if not data:
        return b"\0", "a byte in an empty file"
    name = some(rng, ("truncate", "bits", "bits", "bytes", "block", "splice", "duplicate", "remove", "swap", "empty", "append"))
    at, length = place(rng, len(data)), int(rng.integers(1, max(2, min(len(data), 400))))
    other = int(rng.integers(len(data)))
    changed = bytearray(data)
    if name == "truncate":
        changed = changed[:at]
    elif name == "bits":
        for _ in range(int(rng.integers(1, 5))):
            changed[place(rng, len(data))] ^= 1 << int(rng.integers(8))
    elif name == "bytes":
        for _ in range(int(rng.integers(1, 9))):
            changed[place(rng, len(data))] = some(rng, (0, 255, int(rng.integers(256))))
    elif name == "block":
        end = min(at + length, len(data))
        changed[at:end] = bytes(end - at) if rng.random() < 0.5 else rng.bytes(end - at)
    elif name == "splice":
        piece = data[other : other + length]
        changed[at : at + len(piece)] = piece
    elif name == "duplicate":
        changed[at:at] = data[other : other + length]
    elif name == "remove":
        del changed[at : at + length]
    elif name == "swap":
        first, second = sorted((at, other))
        a, b = data[first : first + length], data[second : second + length]
        if first + len(a) <= second:
            changed[second : second + len(b)] = a
            changed[first : first + len(a)] = b
    elif name == "empty":
        changed = bytearray()
    else:
        changed += rng.bytes(length) if rng.random() < 0.5 else data[:length]
    return bytes(changed), name


def damage_lines(text: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """One kind of damage to the lines of a text, or to a field of one."""
    lines = text.split(b"\n")
    i, j = int(rng.integers(len(lines))), int(rng.integers(len(lines)))
    name = some(rng, ("field",) * 6 + ("drop", "repeat", "swap", "shuffle", "join", "blank", "ends", "blanks", "case", "cut"))
    if name == "field":
        separator = b"\t" if b"\t" in lines[i] else b" "
        fields = lines[i].split(separator)
        k = int(rng.integers(len(fields)))
        action = some(rng, ("replace",) * 4 + ("drop", "repeat"))
        new = [some(rng, FIELDS).encode()] if action == "replace" else [] if action == "drop" else [fields[k]] * 2
        fields[k : k + 1] = new
        lines[i], name = separator.join(fields), f"{action} field {k} of line {i + 1}"
    elif name == "drop":
        del lines[i]
    elif name == "repeat":
        lines.insert(j, lines[i])
    elif name == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif name == "shuffle":
        lines = [lines[int(k)] for k in rng.permutation(len(lines))]
    elif name == "join" and i + 1 < len(lines):
        lines[i : i + 2] = [lines[i] + lines[i + 1]]
    elif name == "blank":
        lines.insert(i, some(rng, (b"", b" ", b"\t", b"\r")))
    elif name == "ends":
        return some(rng, (b"\r\n", b"\r", b"\n\n", b"\n\r")).join(lines), "line ends"
    elif name == "blanks":
        lines[i] = lines[i].replace(b"\t", b" ")
    elif name == "case":
        lines[i] = lines[i].swapcase()
    elif name == "cut":
        lines[i] = lines[i][: int(rng.integers(len(lines[i]) + 1))]
    return b"\n".join(lines), f"lines: {name}"


def damage_json(data: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """The same plain data with one value of another type, or a key that is missing, renamed or
    new.
    """
    data = copy.deepcopy(data)
    holder, key, path = data, None, ""
    while isinstance(holder, dict | list) and holder:
        parent = holder
        key = some(rng, list(parent)) if isinstance(parent, dict) else int(rng.integers(len(parent)))
        path += f".{key}"
        if not isinstance(parent[key], dict | list) or not parent[key] or rng.random() < 0.3:
            break
        holder = parent[key]
    else:
        return some(rng, VALUES), "all of it"
    action = some(rng, ("replace",) * 5 + ("drop", "rename", "insert", "text", "near"))
    value = parent[key]
    if action == "drop":
        del parent[key]
    elif action in ("rename", "insert") and isinstance(parent, dict):
        parent["colour"] = parent.pop(key) if action == "rename" else some(rng, VALUES)
    elif action == "insert":
        parent.insert(int(key), some(rng, VALUES))
    elif action == "text":
        parent[key] = str(value)
    elif action == "near" and isinstance(value, int | float):
        parent[key] = some(rng, (value + 1, -value, value * 1000, value + 0.5, float(value)))
    else:
        action, parent[key] = "replace", some(rng, VALUES)
    return data, f"JSON: {action} {path[:80]}"


def damage_file(file: Path, rng: np.random.Generator, *kinds: Callable[..., tuple[bytes, str]]) -> str:
    """Damage a file in one of several ways, in place; for a compressed one half of the time what is
    in it, which is then compressed anew.
    """
    data, kind = file.read_bytes(), some(rng, kinds or (damage_bytes,))
    packed = data[:2] == b"\x1f\x8b"
    if packed and rng.random() < 0.5:
        text, what = kind(gzip.decompress(data), rng)
        with BgzfWriter(str(file)) as writer:
            writer.write(text)
        return f"{file.name}, what is compressed: {what}"
    changed, what = (damage_bytes if packed else kind)(data, rng)
    file.write_bytes(changed)
    return f"{file.name}: {what}"


def damage_json_file(file: Path, rng: np.random.Generator) -> str:
    """Damage the values of a JSON file."""
    changed, what = damage_json(json.loads(file.read_bytes()), rng)
    file.write_text(json.dumps(changed), encoding="utf-8")
    return f"{file.name}, {what}"


# ---------------------------------------------------------------- checkpoints


def damage_signed(folder: Path, name: str, rng: np.random.Generator) -> str:
    """Damage the data or the tensors of a bundle, and sign it as the program itself would: what a
    program with an error, not a disk, may leave.
    """
    weights, data_file = folder / f"{name}.safetensors", folder / f"{name}.json"
    content = json.loads(data_file.read_bytes())
    if hashlib.sha256(weights.read_bytes()).hexdigest() != content["sha256"]["safetensors"]:
        return f"{name} was damaged and is not signed"  # no program signs what it did not write
    if rng.random() < 0.6:
        content["data"], what = damage_json(content["data"], rng)
    else:
        changed, what = _damage_tensors(weights.read_bytes(), rng)
        weights.write_bytes(changed)
    text = json.dumps(content["data"], sort_keys=True)
    checks = {
        "safetensors": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "data": hashlib.sha256(text.encode()).hexdigest(),
    }
    data_file.write_text(json.dumps({**content, "sha256": checks}), encoding="utf-8")
    return f"{name}, signed anew, {what}"


def _damage_tensors(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    import numpy as np
    from safetensors.numpy import load, save

    if rng.random() < 0.3:
        length = int.from_bytes(data[:8], "little")
        header, what = damage_json(json.loads(data[8 : 8 + length]), rng)
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :], f"header, {what}"
    tensors = load(data)
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__")
    key, other = some(rng, list(tensors)), some(rng, list(tensors))
    what = some(rng, ("dtype", "dtype", "shape", "drop", "rename", "swap", "nan", "inf", "more"))
    array = tensors[key]
    if what == "dtype":
        kind = some(rng, ("float64", "float16", "int64", "uint8", "bool", "complex64"))
        with np.errstate(all="ignore"):
            tensors[key], what = array.astype(kind), f"dtype {kind}"
    elif what == "shape":
        tensors[key] = some(
            rng, (array.reshape(-1), array[None], array[:1] if array.ndim else array, np.repeat(array[None], 2, 0))
        )
    elif what == "drop":
        del tensors[key]
    elif what == "rename":
        tensors["colour"] = tensors.pop(key)
    elif what == "swap":
        tensors[key], tensors[other] = tensors[other], tensors[key]
    elif what in ("nan", "inf") and array.dtype.kind == "f":
        array = np.array(array)
        array.reshape(-1)[: 1 + array.size // 2] = float(what)
        tensors[key] = array
    else:
        tensors[f"{key}.more"] = array
    return save({k: np.array(v, order="C") for k, v in tensors.items()}, metadata=metadata), f"{key}: {what}"
