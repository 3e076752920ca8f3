"""Results written into files of cells: those that the cells lie in, or a new one.

A file of the cells is touched for as long as it takes to copy what is complete: elements under
other names, which then get their own. Matrices are left as they are.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anndata as ad
import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._files import temporary_folder, whole_folder
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.stored._computed import Rows
from r2mae_bio.cells.stored._out import blank_array, new_file, told_less

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from r2mae_bio.cells.read._file_matrix import CellFile
    from r2mae_bio.cells.read._store import CellStore

__all__ = ["Results", "left_to_write", "places_taken", "refuse_taken", "write_into", "write_new"]

_ROWS: Final = 4096
"""Cells of a chunk."""
_UNFINISHED: Final = "r2mae_unfinished"
"""Entry of ``.uns`` of an h5ad file that is being written: anndata reads whatever is there."""
_RUN: Final = "r2mae_run"
"""Attribute of an element that says by which model and settings it was made."""
_DICT: Final = {"encoding-type": "dict", "encoding-version": "0.1.0"}


@dataclass(frozen=True, eq=False)
class Results:
    """What is to be written of some cells."""

    run: str
    """Digest of all that it depends on."""
    records: Mapping[str, Mapping[str, Any]]
    """Entries of ``.uns["r2mae"]``, by their place there, such as ``"embed/X_r2mae"``."""
    obsm: Mapping[str, Any] = field(default_factory=dict)
    """By key: :class:`Rows`, or an array (n_cells, n)."""
    obs: Mapping[str, Any] = field(default_factory=dict)
    """Columns by name, (n_cells,) each."""

    @property
    def elements(self) -> dict[str, Any]:
        """All by their place in an AnnData; columns last."""
        return {f"{slot}/{key}": value for slot in ("obsm", "obs") for key, value in getattr(self, slot).items()}


def places_taken(store: CellStore, places: Sequence[str], *, run: str | None = None) -> dict[Path, str]:
    """Files of a store that hold something at one of these places, and where; what ``run`` wrote
    does not count.
    """
    found = [(file.path, place, file.element(place)) for file in store.files for place in places]
    return {
        path: place for path, place, element in found if element is not None and (run is None or element.attrs.get(_RUN) != run)
    }


def left_to_write(store: CellStore, places: Sequence[str], record: str, runs: Sequence[str], *, overwrite: bool) -> list[bool]:
    """Which files are still to be written; anything in the way is refused.

    Parameters
    ----------
    store
        The cells.
    places
        Where results go, such as ``"obsm/X_r2mae"``.
    record
        Place in ``.uns["r2mae"]`` of what is written last.
    runs
        Digest of what each file is to hold.
    overwrite
        Replace what is there.

    Raises
    ------
    ConfigError
        There is something that another run wrote, or nothing is left to do. Files that this very
        run had finished before it was killed are no obstacle.
    """
    left, taken = [], []
    for file, run in zip(store.files, runs, strict=True):
        there = [element for element in map(file.element, places) if element is not None]
        own = all(element.attrs.get(_RUN) == run for element in there)
        whole = len(there) == len(places) and file.element(f"uns/{KEYS.uns}/{record}") is not None
        left.append(overwrite or not (own and whole))
        taken += [] if own else [file.path]
    if overwrite or (any(left) and not taken):
        return left
    refuse_taken(dict.fromkeys(taken or [file.path for file in store.files], places[0]))
    return []


def refuse_taken(taken: Mapping[Path, str]) -> None:
    """Refuse to write to files that hold something already, by file the place of it.

    Raises
    ------
    ConfigError
        There are any.
    """
    if taken:
        path, place = next(iter(taken.items()))
        slot, key = place.split("/")
        message = (
            f"{slot}[{key!r}] exists already in {path}{f' and {len(taken) - 1} other files' if len(taken) > 1 else ''}; pass "
            "overwrite=True to replace it, or another key_added."
        )
        raise ConfigError(message)


def write_new(path: Path, store: CellStore, results: Results, *, overwrite: bool) -> None:
    """Write a file with names and ``.obs`` of a store, and results.

    Parameters
    ----------
    path, overwrite
        See :func:`new_file`.
    store
        The cells.
    results
        Of all of them.
    """
    obs = store.obs.set_axis(pd.Index(store.obs_names, dtype=object), axis=0)
    kept = obs.drop(columns=[name for name in results.obs if name in obs])
    columns = pd.DataFrame(
        {name: np.asarray(v) if not isinstance(v, pd.Categorical) else v for name, v in results.obs.items()}, index=obs.index
    )
    with new_file(path, ad.AnnData(obs=pd.concat([kept, columns], axis=1)), overwrite=overwrite) as group:
        for key, values in results.obsm.items():
            _put(group["obsm"], key, values, results.run)
        _write_records(group, results)


def write_into(file: CellFile, results: Results) -> None:
    """Write results into a file that cells lie in, in which nothing else changes.

    Parameters
    ----------
    file
        The file; whoever has it open in this process goes on with it as it then is.
    results
        Of its cells.

    Raises
    ------
    DataError
        It was changed by somebody else, or cannot be written.
    """
    file.check_unchanged()
    readers = file.together()
    for reader in readers:
        reader.close()
    try:
        with (_into_zarr if file.zarr else _into_h5ad)(file.path, results) as group:
            _name_columns(group, list(results.obs))
            _write_records(group, results)
    except OSError as error:
        message = (
            f"Results cannot be written into {file.path} ({error}). They are kept beside the files; close it wherever it is open, see "
            "that it may be written and that the disk has room, and call again."
        )
        raise DataError(message) from error
    finally:
        for reader in readers:
            reader.renew()


@contextmanager
def _into_h5ad(path: Path, results: Results) -> Iterator[Any]:
    import h5py

    with h5py.File(path, "r+") as file:
        uns = _dict(file, "uns")
        if _UNFINISHED in uns:  # of a run that was killed here
            del uns[_UNFINISHED]
        scratch, written = _dict(uns, _UNFINISHED), {}
        for number, (place, element) in enumerate(results.elements.items()):
            written[place] = _put(scratch, str(number), element, results.run).name
        file.flush()
        for place, name in written.items():
            _dict(file, place.split("/")[0])
            if place in file:
                del file[place]
            file.move(name, place)
        del uns[_UNFINISHED]
        yield file


@contextmanager
def _into_zarr(path: Path, results: Results) -> Iterator[Any]:
    import zarr

    third = not zarr.__version__.startswith("2.")  # the release, not the format
    whole: dict[str, Any] = {"use_consolidated": False} if third else {}
    root = zarr.open_group(str(path), mode="r+", **whole)
    version: dict[str, Any] = {"zarr_format": root.metadata.zarr_format} if third else {}
    with temporary_folder(path) as scratch:
        group = zarr.open_group(str(scratch / "new"), mode="w", **version)
        for number, (place, element) in enumerate(results.elements.items()):
            _put(group, str(number), element, results.run)
            slot, key = place.split("/")
            _dict(root, slot)
            with whole_folder(path / slot / key, overwrite=True, beside=path) as folder:
                for part in (scratch / "new" / str(number)).iterdir():
                    part.rename(folder / part.name)
    yield root
    copies = (path / name for name in (".zmetadata", "zarr.json"))
    if any(copy.is_file() and b"consolidated" in copy.read_bytes() for copy in copies):  # readers look there alone
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(str(path))


def _put(group: Any, name: str, element: Any, run: str) -> Any:
    if isinstance(element, Rows):
        element.copy_to(blank_array(group, name, element.shape, _ROWS), _ROWS)
    else:
        with told_less():
            ad.io.write_elem(group, name, element)
    written = group[name]
    written.attrs[_RUN] = run
    return written


def _name_columns(group: Any, names: Sequence[str]) -> None:
    """Tell readers of ``.obs`` of new columns, once these are there."""
    if names:
        attributes = group["obs"].attrs
        order = list(map(str, attributes["column-order"]))
        attributes["column-order"] = [*order, *(name for name in names if name not in order)]


def _dict(group: Any, name: str) -> Any:
    """A group that anndata reads as a dictionary, made where there is none."""
    found = group.require_group(name)
    if "encoding-type" not in found.attrs:
        found.attrs.update(_DICT)
    return found


def _write_records(group: Any, results: Results) -> None:
    home = _dict(_dict(group, "uns"), KEYS.uns)
    with told_less():
        for place, entry in results.records.items():
            *above, name = place.split("/")
            ad.io.write_elem(_dict(home, above[0]) if above else home, name, dict(entry))
