"""A small saved model of cells, and one of DNA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from r2mae_bio.model import DNAMAE, GeneMAE

from ..toy_cells import SIZES, make_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cells() -> Any:
    adata = make_cells(40)
    GeneMAE.setup_anndata(adata)
    return adata


@pytest.fixture(scope="session")
def gene_model(cells: Any) -> GeneMAE:
    model = GeneMAE(cells, **SIZES)
    model.train(max_epochs=2, batch_size=16, progress_bar=False)
    return model


@pytest.fixture(scope="session")
def dna_model(tmp_path_factory: pytest.TempPathFactory) -> DNAMAE:
    from r2mae_bio.io import Genome

    folder: Path = tmp_path_factory.mktemp("genome")
    (folder / "genome.fa").write_text(f">chr1\n{'GATTACAGATTACACATTAG' * 40}\n")
    model = DNAMAE(Genome(folder / "genome.fa", cache_dir=folder), window=32, d_model=16, n_layers=1)
    model.initialize()
    return model
