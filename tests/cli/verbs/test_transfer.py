"""``r2mae transfer``: labels, and how far to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd

from r2mae_bio import tl

if TYPE_CHECKING:
    from pathlib import Path

ARGS = ["transfer", "query.h5ad", "cells.h5ad", "--model", "model", "--labels-key", "group", "--reference-layer", "counts"]


def test_table_and_cells_hold_what_python_writes(folder: Path, printed: Any) -> None:
    query, reference = anndata.read_h5ad("query.h5ad"), anndata.read_h5ad("cells.h5ad")
    tl.transfer_labels(query, reference, labels_key="group", model="model", reference_layer="counts")
    said = printed(*ARGS, "--out", "labels.csv")
    table = pd.read_csv("labels.csv", index_col="cell", dtype={"label": str})
    assert table["label"].tolist() == query.obs["r2mae_label"].tolist()
    np.testing.assert_allclose(table["confidence"], query.obs["r2mae_label_confidence"], rtol=1e-5)
    shares = table[[f"probability: {name}" for name in "012"]]
    np.testing.assert_allclose(shares, query.obsm["r2mae_label_probabilities"], rtol=1e-5)
    assert said["labels"] == table["label"].value_counts().to_dict()
    printed(*ARGS, "--key-added", "mine", "--out", "labelled.h5ad")
    assert anndata.read_h5ad("labelled.h5ad").obs["mine"].tolist() == table["label"].tolist()
