"""From a pretrained gene model and labelled cells to a classifier."""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from r2mae_bio.cells.fit._finetune import finetune_cell_classifier
from r2mae_bio.cells.fit._views import LabelledCells
from r2mae_bio.cells.model._classifier import CellClassifier, CellClassifierRecord
from r2mae_bio.cells.model._labels import read_labels, split_labelled
from r2mae_bio.cells.model._reader import open_table
from r2mae_bio.cells.model._setup import query_layer
from r2mae_bio.config import CellFinetuneConfig

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.cells.model._record import GeneRecord
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder

__all__ = ["finetune_cells"]


def finetune_cells(
    network: GeneMaskedAutoencoder,
    record: GeneRecord,
    adata: AnnData,
    *,
    labels_key: str,
    layer: str | None = None,
    freeze_encoder: bool = False,
    split_key: str | None = None,
    dev_size: float = 0.1,
    groups_key: str | None = None,
    config: CellFinetuneConfig | None = None,
    seed: int = 0,
    pretrained: str = "",
    progress_bar: bool = True,
) -> CellClassifier:
    """Train a copy of a gene encoder, and a head, on labelled cells; see :meth:`GeneMAE.finetune`.

    Parameters
    ----------
    network
        The pretrained network; it stays as it is.
    record
        What its model knows about itself.
    adata, labels_key, layer, freeze_encoder, split_key, dev_size, groups_key, config, seed,
    progress_bar
        See :meth:`GeneMAE.finetune`.
    pretrained
        Checksum of the model, kept with the classifier.

    Returns
    -------
    The classifier.
    """
    config = config or CellFinetuneConfig()
    seed = operator.index(seed)  # a NumPy number could not be saved
    labels = read_labels(adata, labels_key)
    split = split_labelled(labels, adata, split_key=split_key, dev_size=dev_size, groups_key=groups_key, seed=seed)
    used = np.concatenate([split.train, split.dev])
    layer = query_layer(adata, layer, record.setup.layer, record.config.gene_likelihood)
    table, _ = open_table(record, adata, used, layer, "error", None, compare=record.setup.batch_key)
    classes = sorted(set(labels.names[split.train].tolist()))
    cells = LabelledCells(
        table=table,
        labels=pd.Categorical(labels.names[used], categories=classes).codes.astype(np.int64),
        train=np.arange(len(split.train)),
        dev=np.arange(len(split.train), len(used)),
        n_classes=len(classes),
    )
    result = finetune_cell_classifier(
        network,
        cells,
        law=record.law,
        n_latent=record.config.n_latent,
        freeze_encoder=freeze_encoder,
        config=config,
        seed=seed,
        progress_bar=progress_bar,
    )
    made = CellClassifierRecord(
        classes=classes,
        labels_key=labels_key,
        frozen=freeze_encoder,
        seed=seed,
        config=config,
        gene=copy.deepcopy(record),
        pretrained=pretrained,
        best_step=result.best_step,
        history=result.history,
    )
    return CellClassifier(result.network, made)
