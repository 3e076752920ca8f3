"""Results as files: cells with what was added to them, and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._files import whole_file, whole_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

__all__ = ["CELLS", "TABLES", "ZARR", "write_cells", "write_table"]

CELLS: Final = (".h5ad", ".zarr")
TABLES: Final = (".csv", ".parquet")
ZARR: Final = ("zarr.json", ".zgroup", ".zattrs")
"""Files of which one is in every zarr folder."""


def write_cells(adata: AnnData, path: Path) -> None:
    """Write an AnnData, whole or not at all; what is at ``path`` is replaced."""
    import anndata

    # anndata before 0.13 reads nullable text, but writes it only when told to
    with anndata.settings.override(allow_write_nullable_strings=True):
        if path.suffix == ".zarr":
            with whole_folder(path, overwrite=True) as temporary:
                adata.write_zarr(temporary)
        else:
            with whole_file(path) as temporary:
                adata.write_h5ad(temporary)


def write_table(table: pd.DataFrame, path: Path, *, index: bool = True) -> None:
    """Write a table as csv or parquet, whole or not at all."""
    with whole_file(path) as temporary:
        write: Any = table.to_parquet if path.suffix == ".parquet" else table.to_csv
        write(temporary, index=index)
