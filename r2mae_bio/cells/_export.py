"""An embedding as a file, with cell ids and where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._files import whole_file
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._uns import add_entry, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from anndata import AnnData


def write_embedding_file(adata: AnnData, key: str, path: Path) -> None:
    """Write an embedding, whole or not at all.

    Parameters
    ----------
    adata
        Holds the embedding.
    key
        Key of ``.obsm``.
    path
        The file; its suffix is one of :data:`WRITERS`.
    """
    with whole_file(path) as temporary:
        WRITERS[path.suffix](adata, key, temporary)


def _frame(adata: AnnData, key: str) -> pd.DataFrame:
    values = np.asarray(adata.obsm[key], np.float32)
    columns = [f"{key}_{i + 1}" for i in range(values.shape[1])]
    return pd.DataFrame(values, index=adata.obs_names.rename("cell"), columns=columns)


def _provenance(adata: AnnData, key: str) -> dict[str, Any]:
    record = read_record(adata, KEYS.embed, key) or {}
    return {"key": key, **{k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in record.items()}}


def _write_csv(adata: AnnData, key: str, path: Path) -> None:
    with path.open("w", newline="") as stream:
        stream.writelines(f"# {name}: {value}\n" for name, value in _provenance(adata, key).items())
        _frame(adata, key).to_csv(stream)


def _write_parquet(adata: AnnData, key: str, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(_frame(adata, key))
    provenance = json.dumps(_provenance(adata, key)).encode()
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), b"r2mae": provenance}), path)


def _write_npz(adata: AnnData, key: str, path: Path) -> None:
    frame = _frame(adata, key)
    cells = frame.index.to_numpy().astype(str)
    with path.open("wb") as stream:
        np.savez(stream, embedding=frame.to_numpy(), cells=cells, provenance=np.array(json.dumps(_provenance(adata, key))))


def _write_h5ad(adata: AnnData, key: str, path: Path) -> None:
    import anndata as ad

    frame = _frame(adata, key)
    exported = ad.AnnData(frame.to_numpy(), obs=adata.obs.copy(), var=pd.DataFrame(index=frame.columns))
    add_entry(exported, KEYS.embed, key, _provenance(adata, key))
    # anndata before 0.13 reads nullable text, but writes it only when told to
    with ad.settings.override(allow_write_nullable_strings=True):
        exported.write_h5ad(path)


WRITERS: Final[Mapping[str, Callable[[AnnData, str, Path], None]]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npz": _write_npz,
    ".h5ad": _write_h5ad,
}
"""How each format is written, by suffix."""
