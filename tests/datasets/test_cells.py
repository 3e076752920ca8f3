"""Cells: counts recovered or read, labels beside the right cells."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import DataError
from r2mae_bio.datasets import _cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Serve = Callable[[dict[str, bytes]], Path]

COUNTS = np.array([[0, 2, 0], [1, 0, 7]], dtype=np.float32)
"""Two cells, three genes."""


def test_pbmc68k_counts_agree_with_what_scanpy_ships() -> None:
    import scanpy as sc

    adata = rb.datasets.pbmc68k()
    assert adata.shape == (700, 765)
    assert adata.X.dtype == np.float32
    assert adata.X.format == "csr"
    report = rb.pp.check_counts(adata)
    assert rb.pp.check_counts(adata, layer="counts") == report
    assert not np.shares_memory(adata.X.data, adata.layers["counts"].data)
    assert 0 < adata.uns["source"]["max_residual"] < 0.1
    shipped = sc.datasets.pbmc68k_reduced().raw
    forward = np.log1p(adata.X.toarray() / adata.obs["n_counts"].to_numpy()[:, None] * 1e4)
    np.testing.assert_allclose(forward, shipped.X.toarray(), atol=6e-4)  # shipped with three decimals
    assert list(adata.var_names) == list(shipped.var_names)
    assert np.all(adata.obs["n_counts"] >= adata.X.sum(1).A1)
    assert adata.obs["bulk_labels"].nunique() == 10


def test_pbmc68k_from_another_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"up to 0\.4 away from a whole number; at most 0\.1"):
        _cells._whole(np.array([1.0, 2.4]))


def check(adata: Any) -> None:
    """The counts of this file, whole, twice, and where they come from."""
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert adata.X.dtype == np.float32
    assert not np.shares_memory(adata.X.data, adata.layers["counts"].data)
    rb.pp.check_counts(adata, layer="counts")
    assert set(adata.uns["source"]) == {"source", "licence", "citation"}


@pytest.mark.parametrize("name", ["cell_lines_celseq2", "cell_lines_dropseq"])
def test_cells_of_a_table_get_the_labels_of_their_names(serve: Serve, name: str) -> None:
    counts = gzip.compress(b"c1,c2\nENSG1,0,1\nENSG2,2,0\nENSG3,0,7\n")
    known = gzip.compress(b"cell_line,cell_line_demuxlet\nc2,wrong,H2228\nc1,wrong,H1975\n")
    cache = serve({name: counts, f"{name}_obs": known})
    adata = getattr(rb.datasets, name)(cache_dir=cache)
    check(adata)
    assert adata.obs["cell_line"].to_dict() == {"c1": "H1975", "c2": "H2228"}
    assert list(adata.var_names) == ["ENSG1", "ENSG2", "ENSG3"]


def test_malaria(serve: Serve) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("pf10xIDC_counts.csv", '"","b.1","a.1"\n"PF3D7_1",0,1\n"PF3D7_2",2,0\n"PF3D7_3",0,7\n')
    known = b'"","bulk","clock_pseudotime"\n"a.1","ring",0.25\n"b.1","schizont",0.75\n'
    adata = rb.datasets.malaria(cache_dir=serve({"malaria": stream.getvalue(), "malaria_obs": known}))
    check(adata)
    assert adata.obs["bulk_stage"].to_dict() == {"b.1": "schizont", "a.1": "ring"}
    assert adata.obs["pseudotime"].tolist() == [0.75, 0.25]
    assert list(adata.var_names) == ["PF3D7_1", "PF3D7_2", "PF3D7_3"]


@pytest.mark.parametrize("name", ["kidney", "cord_blood"])
def test_cells_without_names_are_numbered(serve: Serve, name: str) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["X"], file["Y"] = COUNTS, np.array([3.0, 0.0])
    adata = getattr(rb.datasets, name)(cache_dir=serve({name: stream.getvalue()}))
    check(adata)
    assert adata.obs["cell_type"].tolist() == ["cluster_3", "cluster_0"]
    assert list(adata.var_names) == ["gene_00000", "gene_00001", "gene_00002"]


def test_merfish_brain(serve: Serve, tmp_path: Path) -> None:
    from scipy import sparse

    made = anndata.AnnData(sparse.csr_matrix(COUNTS))
    made.obs["cell_type"], made.var["gene_name"] = ["a", "b"], ["Htr7", "Gzmk", "Sst"]
    made.write_h5ad(tmp_path / "made.h5ad")
    adata = rb.datasets.merfish_brain(cache_dir=serve({"merfish_brain": (tmp_path / "made.h5ad").read_bytes()}))
    check(adata)
    assert adata.obs["cell_type"].tolist() == ["a", "b"]
    assert adata.var["gene_name"].tolist() == ["Htr7", "Gzmk", "Sst"]
