"""Cells in h5ad and zarr, read into memory, in place and lazily."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from scipy import sparse

import r2mae_bio as rb
from benchmarks.damage.judging import InvalidInputError, Verdict, begin, judge
from benchmarks.damage.mutations import damage_bytes, damage_file, damage_json_file, some
from benchmarks.damage.stores import damage_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = {"n_latent": 4, "n_factors": 3, "n_tokens": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}
TRAINED_SHARE = 0.1
"""Share of the cases in which a model is also trained, which takes ten times as long."""
KEY = "X_r2mae"


def make_cells(seed: int = 0, n_cells: int = 40, n_genes: int = 25) -> ad.AnnData:
    """Counts with a batch."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.6, 3.0, (3, n_genes))
    counts = rng.poisson(rates[np.arange(n_cells) % 3]).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame({"batch": np.where(np.arange(n_cells) % 2, "a", "b")}, index=[f"cell {i}" for i in range(n_cells)])
    var = pd.DataFrame({"gene_ids": [f"ENSG{i:011}" for i in range(n_genes)]}, index=[f"G{i}" for i in range(n_genes)])
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs, var=var)


def make_model(adata: ad.AnnData, **settings: Any) -> rb.model.GeneMAE:
    """A model of one epoch."""
    model = rb.tl.pretrain(
        adata,
        model_kwargs={"seed": 1, **SIZES},
        **{"max_epochs": 1, "batch_size": 16, "progress_bar": False, "accelerator": "cpu", **settings},
    )
    model.record.history = [{**row, "cells_per_second": 1000.0} for row in model.record.history]  # the same bytes each time
    return model


class Cells:
    """Cells in a file or a folder of one kind of storage.

    Parameters
    ----------
    name
        Of the file; the suffix says how it is stored.
    form
        Makes the matrix of a CSR matrix.
    """

    def __init__(self, name: str, form: Callable[[Any], Any]) -> None:
        self._name, self._form = name, form

    def prepare(self, folder: Path) -> None:
        adata = make_cells()
        make_model(adata.copy()).save(folder / "model")
        adata.X = self._form(adata.X)
        for i, options in enumerate(({}, {"compression": "gzip"})):
            path = folder / f"{i}-{self._name}"
            if path.suffix == ".zarr":
                adata.write_zarr(path)
            else:
                adata.write_h5ad(path, **options)

    def open(self, folder: Path) -> None:
        self._model = rb.model.GeneMAE.load(folder / "model")

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        self._path = path = folder / f"{int(rng.integers(2))}-{self._name}"
        if rng.random() < 0.5:
            return damage_store(path, rng)
        if path.is_file():
            return _damage_matrix(path, rng) if rng.random() < 0.5 else damage_file(path, rng)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        of_matrix = [file for file in files if file.relative_to(path).parts[0] == "X"]
        file = some(rng, of_matrix if rng.random() < 0.7 else files)
        where = f"{file.parent.relative_to(path)}/"
        if rng.random() < 0.1:
            file.unlink()
            return f"{where}{file.name} removed"
        is_json = file.name.startswith(".z") or file.suffix == ".json"
        return where + (damage_json_file if is_json and rng.random() < 0.7 else damage_file)(file, rng)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        trained = some(rng, ("memory", "in place")) if rng.random() < TRAINED_SHARE else ""
        lazy = rng.random() < 0.3
        whole, failed = _opened(lambda: _read(self._path))
        if whole is None:
            yield Verdict("anndata reads it", "refused by anndata", failed)
        else:
            yield from self._calls("memory", whole, whole, train=trained == "memory")
        begin("anndata")
        found, failed = _opened(lambda: _in_place(self._path, whole))
        if found is None:
            yield Verdict("anndata opens it", "refused by anndata", failed)
        else:
            yield from self._calls("in place", found, whole, train=trained == "in place")
            if found.isbacked:
                found.file.close()
        if lazy:
            found, failed = _opened(lambda: ad.experimental.read_lazy(self._path))
            if found is None:
                yield Verdict("anndata opens it lazily", "refused by anndata", failed)
            else:
                yield from self._calls("lazy", found, None, train=False)

    def _calls(self, how: str, adata: ad.AnnData, whole: ad.AnnData | None, *, train: bool) -> Iterator[Verdict]:
        """Every verb on one reading of the file; ``whole`` is what anndata reads into memory, None
        where what it reads in this way is to be asked itself.
        """

        def truth() -> ad.AnnData:
            return _plain(adata if whole is None else whole)

        def counts() -> ad.AnnData:
            return _counts(truth(), repeated=True)

        yield judge(f"check_counts, {how}", lambda: rb.pp.check_counts(adata), counts, _count_difference)
        before = _written(adata)
        yield judge(
            f"embed, {how}",
            lambda: rb.tl.embed(adata, self._model) or np.array(adata.obsm[KEY]),
            lambda: self._embedding(truth()),
            _difference,
            lambda: ", ".join(sorted(_written(adata) ^ before)),
        )
        if train:
            yield judge(f"pretrain, {how}", lambda: _trained(adata), lambda: _trained(_counts(truth())), _difference)

    def _embedding(self, plain: ad.AnnData) -> NDArray[np.float32]:
        check_plain_counts(plain, empty=True)
        try:
            return self._model.get_latent_representation(plain)
        except rb.errors.GeneIdentityError as error:
            raise InvalidInputError(str(error)) from error


def _damage_matrix(path: Path, rng: np.random.Generator) -> str:
    """Damage what one stored piece of an array of the matrix holds: chunks that no longer
    decompress, values and indices that were never there.
    """
    import h5py

    with h5py.File(path, "r") as file:
        arrays = [file["X"]] if isinstance(file["X"], h5py.Dataset) else list(file["X"].values())
        array = some(rng, arrays)
        if array.chunks is None:
            start, size = array.id.get_offset(), array.id.get_storage_size()
        else:
            found = array.id.get_chunk_info(int(rng.integers(array.id.get_num_chunks())))
            start, size = found.byte_offset, found.size
        name = array.name
    data = path.read_bytes()
    changed, what = damage_bytes(data[start : start + size], rng)
    changed = changed[:size].ljust(size, b"\0")
    path.write_bytes(data[:start] + changed + data[start + size :])
    return f"what is stored of {name}: {what}"


# ---------------------------------------------------------------- reading


def _opened(read: Callable[[], ad.AnnData]) -> tuple[ad.AnnData | None, str]:
    begin("anndata")
    try:
        return read(), ""
    except Exception as error:  # noqa: BLE001 - of anndata, HDF5, zarr, pandas
        return None, f"{type(error).__name__}: {str(error)[:100]}"


def _read(path: Path) -> ad.AnnData:
    return ad.read_zarr(path) if path.is_dir() else ad.read_h5ad(path)


def _in_place(path: Path, whole: ad.AnnData | None) -> ad.AnnData:
    """With a matrix that stays where it is; anndata itself does so for h5ad alone."""
    if path.is_file():
        return ad.read_h5ad(path, backed="r")
    if whole is None:
        obs, var = (ad.io.read_elem(zarr.open_group(path, mode="r")[name]) for name in ("obs", "var"))
    else:
        obs, var = whole.obs.copy(), whole.var.copy()
    stored = zarr.open_group(path, mode="r")["X"]
    return ad.AnnData(ad.io.sparse_dataset(stored) if isinstance(stored, zarr.Group) else stored, obs=obs, var=var)


def _plain(adata: ad.AnnData) -> ad.AnnData:
    """The same cells with a matrix that NumPy alone makes of what anndata, or else HDF5 or zarr,
    read.
    """
    try:
        matrix = _loaded(adata.X)
        return ad.AnnData(dense_of(matrix), obs=pd.DataFrame(index=adata.obs_names), var=adata.var.copy())
    except InvalidInputError:
        raise
    except Exception as error:
        raise InvalidInputError(f"the matrix cannot be read ({type(error).__name__}: {str(error)[:100]})") from error


def _loaded(matrix: Any) -> Any:
    """A matrix in memory, no check made of it."""
    if isinstance(matrix, ad.abc.CSRDataset | ad.abc.CSCDataset):
        parts = {name: np.asarray(matrix.group[name][()]) for name in ("data", "indices", "indptr")}
        return SimpleNamespace(**parts, format=matrix.format, shape=matrix.shape, dtype=parts["data"].dtype, ndim=2)
    if hasattr(matrix, "dask"):
        return _loaded(matrix.compute())
    return matrix if sparse.issparse(matrix) or matrix is None else np.asarray(matrix)


def dense_of(matrix: Any) -> NDArray[np.float64]:
    """An array of a matrix in memory, every stored entry put in its place one by one."""
    if matrix is None:
        raise InvalidInputError("there is no matrix")
    if getattr(matrix, "ndim", 2) != 2 or matrix.dtype.kind not in "buif":
        raise InvalidInputError(f"shape {matrix.shape} and dtype {matrix.dtype} are no matrix of numbers")
    if isinstance(matrix, np.ndarray):
        return np.asarray(matrix, np.float64)
    starts, minor = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in (starts, minor)):
        raise InvalidInputError("the indices of a sparse matrix are no whole numbers")
    n_major, n_minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    if (
        starts.size != n_major + 1
        or starts[0] != 0
        or (np.diff(starts) < 0).any()
        or not starts[-1] == minor.size == matrix.data.size
    ):
        raise InvalidInputError("the pointers of a sparse matrix do not ascend from 0 to its number of entries")
    starts = starts.astype(np.int64)
    minor, values = minor[: starts[-1]].astype(np.int64), matrix.data[: starts[-1]]
    if minor.size and not (minor.min() >= 0 and minor.max() < n_minor):
        raise InvalidInputError("an index of a sparse matrix lies outside of it")
    dense = np.zeros((n_major, n_minor))
    np.add.at(dense, (np.repeat(np.arange(n_major), np.diff(starts)), minor), values.astype(np.float64))
    return dense if matrix.format == "csr" else dense.T


def check_plain_counts(adata: ad.AnnData, *, empty: bool = False) -> None:
    """Raise what counts must not be, by NumPy alone."""
    counts = adata.X
    with np.errstate(all="ignore"):
        single = counts.astype(np.float32)
    for broken, what in (
        (counts.size == 0, "there are no cells or no genes"),
        (not np.isfinite(counts).all(), "values are not finite"),
        ((counts < 0).any(), "values are negative"),
        ((counts != np.rint(counts)).any(), "values are not whole"),
        (not np.isfinite(single).all(), "values are larger than single precision holds"),
        (not empty and (counts.sum(axis=1) == 0).any(), "a cell is empty"),
    ):
        if broken:
            raise InvalidInputError(what)


def _counts(adata: ad.AnnData, *, repeated: bool = False) -> ad.AnnData:
    check_plain_counts(adata)
    if not repeated and not adata.var_names.is_unique:
        raise InvalidInputError("gene names repeat")
    return adata


# ---------------------------------------------------------------- comparing


def _count_difference(report: Any, plain: ad.AnnData) -> str:
    counts, totals = plain.X, plain.X.sum(axis=1)
    expected = [
        *counts.shape,
        np.count_nonzero(counts),
        counts.sum(),
        counts.max(),
        totals.min(),
        np.median(totals),
        totals.max(),
    ]
    found = list(vars(report).values())
    return "" if np.allclose(found, expected, rtol=1e-9) else f"found {found}, expected {expected}"


def _written(adata: ad.AnnData) -> set[str]:
    """What verbs write, as names that tell a changed one."""
    record = adata.uns.get("r2mae", {})
    return {f"obsm {key}" for key in adata.obsm} | {f"uns {key} {value}" for key, value in dict(record).items()}


def _trained(adata: ad.AnnData) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_model(adata)
    return np.concatenate([model.network.state_dict()[key].numpy().ravel() for key in sorted(model.network.state_dict())])


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> str:
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if not np.isfinite(found).all():
        return "not finite"
    gap = float(np.abs(found - expected).max(initial=0.0))
    return "" if gap <= 1e-4 * (1 + float(np.abs(expected).max(initial=0.0))) else f"differs by {gap:.3g}"


CELLS = {
    "h5ad-csr": Cells("cells.h5ad", lambda x: x),
    "h5ad-csc": Cells("cells.h5ad", lambda x: x.tocsc()),
    "h5ad-dense": Cells("cells.h5ad", lambda x: x.toarray()),
    "zarr-csr": Cells("cells.zarr", lambda x: x),
    "zarr-dense": Cells("cells.zarr", lambda x: x.toarray()),
}
