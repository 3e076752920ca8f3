"""Which genes were measured in which cells, where that differs: from a user's table into the data,
and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._keys import KEYS, as_names
from r2mae_bio._warn import warn
from r2mae_bio.cells.read._obs import complete, name_text, read_column, text_values
from r2mae_bio.cells.read._uns import read_record, write_record

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["CellPanels", "common_columns", "panel_table", "read_panels", "write_panels"]


@dataclass(frozen=True, eq=False)
class CellPanels:
    """The panel that each cell was measured by, and what each panel measures."""

    codes: NDArray[np.int64]
    """Panel of each cell, (n_cells,)."""
    measured: NDArray[np.bool_]
    """What each panel measures: columns of the data, or genes of a model, (n_panels, n)."""
    names: tuple[str, ...]
    """What the cells of each panel are called in ``.obs``, for messages."""

    @classmethod
    def of(cls, table: pd.DataFrame, obs: Any, key: str) -> Self:
        """Panels of cells; those that measure the same are one.

        Parameters
        ----------
        table
            What each panel measures, bool, (n_columns, n_panels), columns named by panels as text.
        obs
            Of the cells.
        key
            Column of ``obs`` with the panel of each cell.

        Raises
        ------
        SetupError
            There is no such column.
        DataError
            The panel of a cell is missing, or not in the table.
        """
        values, known = text_values(complete(read_column(obs, key))), pd.Index(table.columns)
        place = known.get_indexer(pd.Index(values))
        unknown = sorted(set(values[place < 0]))
        if unknown:
            message = (
                f"obs[{key!r}] has {len(unknown)} values for which nobody said what was measured: {', '.join(map(repr, unknown[:5]))}; "
                f"known are {', '.join(map(repr, known[:5]))} ({len(known)} in all). Call pp.measured_by_batch anew, or pass "
                "measured= to GeneMAE.setup_anndata with all of them."
            )
            raise DataError(message)
        present, codes = np.unique(place, return_inverse=True)
        names = tuple(repr(str(name)) for name in known[present])
        return cls(codes.astype(np.int64), table.to_numpy(bool).T[present], names).merged()

    @property
    def somewhere(self) -> NDArray[np.bool_]:
        """Whether some panel measures it, (n,)."""
        return np.logical_or.reduce(self.measured)

    @property
    def everywhere(self) -> NDArray[np.bool_]:
        """Whether all panels measure it, (n,)."""
        return np.logical_and.reduce(self.measured)

    def merged(self) -> Self:
        """The same with panels that measure the same made one."""
        measured, first = np.unique(self.measured, axis=0, return_inverse=True)
        number = first.reshape(-1)  # NumPy 2.0 gave it the shape of a column
        names = tuple(", ".join(np.array(self.names, object)[number == i][:3]) for i in range(len(measured)))
        return replace(self, codes=number[self.codes], measured=measured, names=names)

    def among(self, cells: NDArray[np.int64]) -> Self:
        """Panels of some cells, by position."""
        return replace(self, codes=self.codes[cells])

    def hold(self, cells: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the panels of some cells measure the columns beside them, both (n,)."""
        held: NDArray[np.bool_] = self.measured[self.codes[cells], columns]
        return held


def read_panels(adata: AnnData) -> CellPanels | None:
    """What :func:`write_panels` wrote, also after a round trip through h5ad, or in a part of the
    data.

    Parameters
    ----------
    adata
        The data.

    Returns
    -------
    The panels over the columns of the data, or None where nobody said that cells differ.

    Raises
    ------
    SetupError
        The record names a table or a column that the data lack.
    DataError
        The panel of a cell is missing or unknown, or the table is not boolean.
    """
    record = read_record(adata, KEYS.measured)
    if record is None:
        return None
    key, names = str(record["obs_key"]), [str(name) for name in record["panels"]]
    if KEYS.measured_varm not in adata.varm:
        message = (
            f'adata.uns["r2mae"]["measured"] says that genes were measured by obs[{key!r}], but adata.varm[{KEYS.measured_varm!r}], '
            "which says which, is missing: something copied the one and not the other. Call pp.measured_by_batch or "
            "GeneMAE.setup_anndata(measured=...) again."
        )
        raise SetupError(message)
    values = np.asarray(adata.varm[KEYS.measured_varm])
    if values.dtype != bool or values.shape != (adata.n_vars, len(names)):
        message = (
            f"adata.varm[{KEYS.measured_varm!r}] has dtype {values.dtype} and shape {values.shape}; needed is bool and "
            f"{(adata.n_vars, len(names))}, one column for each of {names[:5]}. Call pp.measured_by_batch or "
            "GeneMAE.setup_anndata(measured=...) again."
        )
        raise DataError(message)
    return CellPanels.of(pd.DataFrame(values, columns=names), adata.obs, key)


def write_panels(adata: AnnData, table: pd.DataFrame, key: str, **settings: Any) -> None:
    """Write who measured what where all verbs look for it.

    Parameters
    ----------
    adata
        Gets ``.varm["r2mae_measured"]`` (bool, (n_vars, n_panels)) and
        ``.uns["r2mae"]["measured"]``.
    table
        From :func:`panel_table`.
    key
        Column of ``.obs`` with the panel of each cell.
    settings
        Further entries of the record.

    Raises
    ------
    SetupError
        The data are a store whose files measured different genes.
    """
    _check_not_told_by_files(adata)
    # an array and names beside it: h5ad refuses columns whose names have a slash, as batches may
    adata.varm[KEYS.measured_varm] = table.to_numpy(bool)
    write_record(adata, KEYS.measured, {"obs_key": key, "panels": np.array(table.columns, dtype=object), **settings})


def _check_not_told_by_files(adata: AnnData) -> None:
    """What a store knows of its files is not to be written over."""
    if (read_record(adata, KEYS.measured) or {}).get("of_files"):
        message = (
            "The files of this store measured different genes, which it knows; what cells of one file did not measure is to be said in "
            "that file. Call pp.measured_by_batch on it, write it again, and open the store anew."
        )
        raise SetupError(message)


def panel_table(adata: AnnData, measured: Any) -> pd.DataFrame:
    """A user's table of what was measured.

    Parameters
    ----------
    adata
        The data.
    measured
        A data frame of genes x panels (bool), the key of one in ``.varm``, or genes by panel.

    Returns
    -------
    Bool, (n_vars, n_panels), columns named by panels as text.

    Raises
    ------
    ConfigError
        It is something else.
    SetupError
        There is no such key, or the data are a store whose files measured different genes.
    DataError
        Genes are missing, or a value is not boolean.
    """
    _check_not_told_by_files(adata)
    if isinstance(measured, str):
        measured = _from_varm(adata, measured)
    if isinstance(measured, Mapping):
        columns = [_listed(adata, panel, genes) for panel, genes in measured.items()]
        measured = pd.DataFrame(dict(enumerate(columns)), index=adata.var_names).set_axis(list(measured), axis=1)
    if not isinstance(measured, pd.DataFrame):
        message = (
            f"measured is a {type(measured).__name__}; needed is a data frame of genes x panels (bool), the key of one in adata.varm, "
            "or a dictionary with the genes of each panel."
        )
        raise ConfigError(message)
    names = pd.Index([name_text(name) for name in measured.columns])
    wrong = [name for name, dtype in zip(names, measured.dtypes, strict=True) if not pd.api.types.is_bool_dtype(dtype)]
    if wrong or names.empty or not names.is_unique or measured.isna().to_numpy().any():
        message = (
            f"measured has the columns {list(names[:5])}, of which {wrong[:5]} are not boolean; needed is one column of True and False, "
            "without missing values, for each panel, named as in .obs. Convert them with .astype(bool)."
        )
        raise DataError(message)
    return pd.DataFrame(_rows_of_genes(adata, measured).to_numpy(bool), columns=names)


def _from_varm(adata: AnnData, key: str) -> pd.DataFrame:
    if key not in adata.varm:
        message = f"There is no adata.varm[{key!r}]; it has {list(adata.varm) or 'nothing'}. Pass a key of a data frame there."
        raise SetupError(message)
    table = adata.varm[key]
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "to_memory"):  # of data that were read lazily
        return pd.DataFrame(table.to_memory())
    message = (
        f"adata.varm[{key!r}] is a {type(table).__name__}, which does not name its columns; needed is a data frame. Pass "
        "pandas.DataFrame(adata.varm[key], index=adata.var_names, columns=panels)."
    )
    raise DataError(message)


def _listed(adata: AnnData, panel: Any, genes: Any) -> NDArray[np.bool_]:
    """Whether each column is among the genes of a panel."""
    names = as_names(genes)
    found: NDArray[np.bool_] = adata.var_names.isin(names)
    missing = sorted(set(names) - set(adata.var_names))
    if not found.any():
        message = (
            f"None of the {len(names)} genes of panel {str(panel)!r} ({list(names[:5])}) is among adata.var_names "
            f"({list(adata.var_names[:5])}). Pass names as they stand there."
        )
        raise DataError(message)
    if missing:
        warn(
            f"{len(missing)} of {len(names)} genes of panel {str(panel)!r} are no var_names and count for nothing, such as {missing[:5]}."
        )
    return found


def _rows_of_genes(adata: AnnData, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the genes of the data, in their order."""
    names = pd.Index(map(str, adata.var_names))
    index = pd.Index(map(str, table.index))
    if index.equals(names):
        return table
    missing = names.difference(index)
    if len(missing) or not index.is_unique:
        message = (
            f"measured has rows for {len(table)} genes ({list(index[:5])}); missing are {len(missing)} of the {len(names)} var_names, such "
            f"as {list(missing[:5])}. Needed is one row for each gene, indexed by its name."
        )
        raise DataError(message)
    return table.iloc[index.get_indexer(names)]


def common_columns(adata: AnnData) -> NDArray[np.int64] | None:
    """Columns that were measured in every cell, for what cannot leave genes of single cells out.

    Parameters
    ----------
    adata
        The data.

    Returns
    -------
    Their positions, ascending, or None for all.

    Raises
    ------
    DataError
        There are none; otherwise as for :func:`read_panels`.
    """
    panels = read_panels(adata)
    if panels is None or panels.measured.all():
        return None
    common = np.flatnonzero(panels.everywhere)
    if not common.size:
        message = f"No gene was measured in all cells: the panels of {'; '.join(panels.names[:5])} have none in common. Pass cells of one panel."
        raise DataError(message)
    return common
