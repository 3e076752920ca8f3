"""Damage to the arrays and attributes of HDF5 and zarr stores, which stay valid stores."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import zarr

from benchmarks.damage.mutations import VALUES, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TYPES = ("int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64", "complex64", "bool", "S8", "text")
_ODD = (0, -1, 1, 0.5, 255, 1e6, 2.0**31, 2.0**53 + 2, 1e39, 1e300, float("nan"), float("inf"), -float("inf"))
_ENCODINGS = ("csr_matrix", "csc_matrix", "array", "dataframe", "dict", "string-array", "categorical", "raw", "none such", "")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.is_dir():
        yield zarr.open_group(path, mode="r+", use_consolidated=False)
        return
    with h5py.File(path, "r+") as file:
        yield file


def _names(group: Any, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every member, and whether it is an array."""
    for name in sorted(group.keys()):
        member = group[name]
        is_group = isinstance(member, h5py.Group | zarr.Group)
        yield f"{prefix}{name}", not is_group
        if is_group:
            yield from _names(member, f"{prefix}{name}/")


def _replace(group: Any, name: str, values: Any) -> None:
    """Another array under the same name, its attributes kept."""
    attributes = dict(group[name].attrs)
    del group[name]
    if isinstance(group, h5py.Group):
        group.create_dataset(name, data=values)
    else:
        group.create_array(name, data=np.asarray(values))
    for key, value in attributes.items():
        group[name].attrs[key] = value


def damage_store(path: Path, rng: np.random.Generator) -> str:
    """One change to an array or an attribute, mostly of ``X``. What a zarr store keeps of all its
    members in one place is brought up to date half of the time.
    """
    what = _damage_member(path, rng)
    if path.is_dir() and rng.random() < 0.5:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr says that its third format does not define this
            zarr.consolidate_metadata(path)
        return f"{what}, consolidated"
    return what


def _damage_member(path: Path, rng: np.random.Generator) -> str:
    with _opened(path) as group:
        members = list(_names(group))
        matrix = [(name, is_array) for name, is_array in members if name == "X" or name.startswith("X/")]
        name, is_array = some(rng, matrix if rng.random() < 0.6 else members)
        if not is_array or rng.random() < 0.25:
            return f"{name}, {_damage_attributes(group, name, rng)}"
        if rng.random() < 0.1:
            arrays = [name for name, is_array in members if is_array]
            other = some(rng, arrays)
            first, second = group[name][()], group[other][()]
            _replace(group, name, second)
            if other != name:
                _replace(group, other, first)
            return f"{name} and {other} swapped"
        values, what = _damage_values(np.asarray(group[name][()]), rng)
        if values is None:
            del group[name]
        else:
            _replace(group, name, values)
        return f"{name}: {what}"


def _damage_attributes(group: Any, name: str, rng: np.random.Generator) -> str:
    attributes = group[name].attrs if rng.random() < 0.9 else group.attrs
    keys = sorted(attributes.keys())
    if not keys or rng.random() < 0.1:
        if group is not attributes and name:
            del group[name]
        return "removed"
    key, action = some(rng, keys), some(rng, ("drop", "replace", "encoding", "number"))
    old = attributes[key]
    if action == "drop":
        del attributes[key]
    elif action == "encoding":
        attributes[key] = some(rng, _ENCODINGS)
    elif action == "number" and np.asarray(old).dtype.kind in "iuf":
        attributes[key] = _list_or_array(group, np.asarray(old) + int(some(rng, (-1, 1, 1000, 2**40))))
    else:
        new = some(rng, [v for v in VALUES if v is not None and not isinstance(v, dict | bool) and v not in ([[]], 10**30)])
        action, attributes[key] = f"replace by {new!r}", new
    return f"attribute {key}: {action}"


def _list_or_array(group: Any, values: Any) -> Any:
    return values if isinstance(group, h5py.Group) else values.tolist()


def _damage_values(values: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """Another array, or None for none, and what was done."""
    what = some(rng, ("type",) * 4 + ("odd",) * 4 + ("shorter", "longer", "reverse", "shuffle", "shape", "remove", "repeat"))
    if what == "type":
        kind = some(rng, _TYPES)
        with np.errstate(all="ignore"), contextlib.suppress(ValueError, TypeError):
            changed = values.astype(str).astype("S16") if kind == "text" else values.astype(kind)
            return changed, f"as {kind}"
        return np.arange(values.size, dtype=np.float32), "as numbers"
    if what == "odd" and values.dtype.kind in "iuf" and values.size:
        flat = np.array(values).reshape(-1)
        odd, n = some(rng, _ODD), int(rng.integers(1, 4))
        if rng.random() < 0.2:
            flat = flat.astype(np.float64)
        if flat.dtype.kind in "iu":  # what an integer can hold of it
            info = np.iinfo(flat.dtype)
            odd = int(np.clip(np.nan_to_num(odd), float(info.min) / 2, float(info.max) / 2))
        with np.errstate(all="ignore"):
            flat[rng.integers(flat.size, size=n)] = odd
        return flat.reshape(values.shape), f"{n} values {odd}"
    if what == "remove":
        return None, "removed"
    if values.ndim == 0 or not values.size:
        return np.zeros(3), "three numbers"
    if what == "shorter":
        return values[: int(rng.integers(len(values)))], what
    if what == "longer":
        return np.concatenate([values, values[: int(rng.integers(1, len(values) + 1))]]), what
    if what == "shuffle":
        return values[rng.permutation(len(values))], what
    if what == "repeat":
        changed = np.array(values)
        changed[int(rng.integers(len(values)))] = values[int(rng.integers(len(values)))]
        return changed, what
    if what == "shape":
        return values.T if values.ndim > 1 and rng.random() < 0.5 else values[None] if rng.random() < 0.5 else values.reshape(
            -1
        ), what
    return values[::-1], "reverse"
