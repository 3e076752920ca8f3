"""Matrices that other libraries read from a disk: what goes wrong there, and what it gives, is
checked here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import DataError, R2MAEError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_compressed", "check_stored", "known_indices", "reading"]

_KNOWN: Final = {np.dtype(np.int32), np.dtype(np.int64)}


@contextmanager
def reading(matrix: Any, where: str = "The matrix") -> Iterator[None]:
    """Turn what a storage library raises into a :class:`DataError`.

    HDF5, zarr, their codecs, anndata and dask each have errors of their own for bytes that are not
    what they should be, from ``OSError`` and ``KeyError`` to ``RuntimeError``; so only the one call
    that reads stands inside.

    Parameters
    ----------
    matrix
        What is read; its file is named if it is known.
    where
        How the user calls it.

    Raises
    ------
    DataError
        Something else than memory was wanting.
    """
    try:
        yield
    except (R2MAEError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or "no reason was given"
        message = (
            f"{where}{_of_file(matrix)} cannot be read ({type(error).__name__}: {said[:200]}); the file is cut or damaged, or it "
            "holds no matrix there. Copy or write it again, and open it anew."
        )
        raise DataError(message) from error


def _of_file(matrix: Any) -> str:
    """Where the matrix lies, for messages; nothing if that is not known."""
    stored = getattr(matrix, "group", matrix)  # of a sparse one
    file = getattr(getattr(stored, "file", stored), "filename", None) or getattr(stored, "store_path", None)
    return "" if file is None else f" of {file}"


def check_compressed(matrix: Any, where: str = "The matrix") -> None:
    """Refuse a sparse matrix whose indices lead outside of it: compiled loops follow them blindly.

    Parameters
    ----------
    matrix
        CSR or CSC, in memory.
    where
        How the user calls it.

    Raises
    ------
    DataError
        Pointers do not ascend from 0 to the number of entries, or an index is out of range.
    """
    n_major, n_minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    pointers, minor = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    whole = all(part.ndim == 1 and part.dtype.kind in "iu" for part in (pointers, minor))
    if not whole:
        problem = f"its indices are of {pointers.dtype} and {minor.dtype}, shapes {pointers.shape} and {minor.shape}"
    elif pointers.size != n_major + 1 or pointers[0] != 0 or np.any(pointers[1:] < pointers[:-1]):
        problem = f"its {pointers.size} pointers do not ascend from 0, one for each of {n_major} rows or columns"
    elif not pointers[-1] == minor.size == matrix.data.size:
        # fewer would pass for zeros: a lost chunk of zarr reads as pointers of 0
        problem = f"its pointers promise {pointers[-1]} entries; there are {minor.size} indices and {matrix.data.size} values"
    elif minor.size and not 0 <= minor.min() <= minor.max() < n_minor:
        problem = f"an index is {minor.min()} or {minor.max()}; needed are 0 to {n_minor - 1}"
    else:
        return
    raise _damaged(where, problem)


def known_indices(matrix: Any) -> Any:
    """The matrix itself if its indices are of a type that compiled loops know, else a copy with
    such: anndata keeps what a file has, such as uint64.

    Parameters
    ----------
    matrix
        CSR or CSC in memory that passed :func:`check_compressed`.
    """
    if {matrix.indptr.dtype, matrix.indices.dtype} <= _KNOWN:
        return matrix
    return type(matrix)((matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)), matrix.shape)


def check_stored(matrix: Any, where: str = "The matrix") -> None:
    """Refuse a sparse matrix on a disk whose arrays do not have lengths that go together; what is
    in them is checked as it is read.

    Parameters
    ----------
    matrix
        A backed sparse dataset of anndata.
    where
        How the user calls it.

    Raises
    ------
    DataError
        An array is missing, or of another length.
    """
    with reading(matrix, where):
        arrays = [matrix.group[name] for name in ("indptr", "indices", "data")]
        pointers, indices, data = (int(array.size) for array in arrays)
        whole = all(array.dtype.kind in "iu" for array in arrays[:2])
        n_major = int(matrix.shape[0 if matrix.format == "csr" else 1])
        promised = int(np.asarray(arrays[0][-1:]).sum()) if whole and pointers else 0
    if not whole:
        found = f"its indices are of {arrays[0].dtype} and {arrays[1].dtype}; needed are whole numbers"
    elif pointers != n_major + 1 or not promised == indices == data:
        found = (
            f"it has {pointers} pointers for {n_major} rows or columns, which promise {promised} entries, and {indices} indices and "
            f"{data} values"
        )
    else:
        return
    where += _of_file(matrix)
    raise _damaged(where, found)


def _damaged(where: str, problem: str) -> DataError:
    return DataError(f"{where} is a damaged sparse matrix: {problem}. Read it again from an intact file, or build it anew.")
