"""A fine-tuned classifier of cells, with its classes, its genes and its way to disk."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.cells.fit._loader import CellTable
from r2mae_bio.cells.model._labels import read_labels, split_labelled
from r2mae_bio.cells.model._record import GeneRecord, blank_statistics, build_network, check_vocabulary
from r2mae_bio.cells.model._setup import Setup, query_layer
from r2mae_bio.cells.network._classifier import CellClassifierNetwork
from r2mae_bio.cells.read._align import align_anndata
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.core._bundle import load_weights, read_kind, refused_if_misstated, versions
from r2mae_bio.core._checkpoint import Bundle, check_intact, write_folder
from r2mae_bio.core._class_metrics import class_metrics
from r2mae_bio.core._saved import TrainedClassifier

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.cells.read._cells import CellSource

__all__ = ["CellClassifier", "CellClassifierRecord", "finetune_cells"]

KIND = "CellClassifier"
_BATCH = 256


@dataclass(frozen=True, eq=False)
class CellClassifierRecord:
    """Everything of a classifier but its weights."""

    classes: list[str]
    """Names of the classes, sorted, in the order of the probabilities."""
    labels_key: str
    """Column of ``.obs`` that held them."""
    frozen: bool
    """Whether the encoder is that of the pretrained model."""
    seed: int
    """Seed of the training."""
    config: CellFinetuneConfig
    """Settings of the training."""
    gene: GeneRecord = field(repr=False)
    """The pretrained model: sizes, genes, and where its data kept what was read."""
    pretrained: str = ""
    """Checksum of the pretrained model."""
    best_step: int = 0
    """Step of the weights that were kept; 0 is the linear probe."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """One row per look at the dev cells."""

    def to_json(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_json` makes an equal record."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {**plain, "config": self.config.to_json(), "gene": self.gene.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record that :meth:`to_json` described."""
        plain = {name: data[name] for name in _PLAIN}
        return cls(config=CellFinetuneConfig.from_json(data["config"]), gene=GeneRecord.from_json(data["gene"]), **plain)


_PLAIN = ("classes", "labels_key", "frozen", "seed", "pretrained", "best_step", "history")


class CellClassifier(TrainedClassifier[CellClassifierNetwork, CellClassifierRecord]):
    """Classifies cells by their genes; made by :meth:`GeneMAE.finetune` or :meth:`load`.

    Genes are matched by name; those that the data lack are hidden, never zero, so that cells of a
    panel are read by the same classifier.

    Parameters
    ----------
    network
        Encoder and head.
    record
        The rest.
    """

    def __repr__(self) -> str:
        classes = f"{len(self.classes)} classes ({', '.join(self.classes[:5])}{', ...' if len(self.classes) > 5 else ''})"
        encoder = "frozen encoder" if self.record.frozen else "fine-tuned encoder"
        return f"CellClassifier of {classes}, {len(self.record.gene.vocabulary)} genes, {encoder}"

    @property
    def history(self) -> pd.DataFrame:
        """Looks at the dev cells while it was trained, the linear probe (step 0) first.

        Columns are step, train_loss, dev_loss (nats), dev_macro_f1, of which half the weight is on
        cells in full and half on cells with hidden genes, and dev_loss_full and dev_macro_f1_full,
        in full alone.
        """
        return pd.DataFrame(self.record.history)

    def predict_proba(
        self,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_size: int | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> pd.DataFrame:
        """Probabilities of the classes.

        A cell's probabilities do not depend on the other cells, on their order or on ``batch_size``
        (to about 1e-5).

        Parameters
        ----------
        adata
            Cells; they need not have been set up.
        layer
            Layer of counts; if None, that of the data's own setup, else that of the training data
            if present, else ``X``.
        batch_size
            Cells at a time; 256 if None.
        duplicates
            What to do with columns of the same gene: ``"error"`` or ``"sum"``.
        min_coverage
            Smallest share of the model's genes that must be measured.

        Returns
        -------
        One row per cell, indexed by ``obs_names``, one column per class, float32.

        Raises
        ------
        ConfigError
            ``batch_size`` is not positive.
        CountsError, DuplicateGenesError, GeneCoverageError, SetupError
            The data cannot be used; the message says why and what to do.
        """
        if batch_size is not None and batch_size < 1:
            message = f"batch_size is {batch_size}; needed is a positive number of cells, or None."
            raise ConfigError(message)
        alignment = {"duplicates": duplicates} | ({} if min_coverage is None else {"min_coverage": min_coverage})
        source = _open(self.record.gene, adata, layer, None, **alignment)
        return pd.DataFrame(self._probabilities(source, batch_size or _BATCH), index=adata.obs_names, columns=self.classes)

    def predict(self, adata: AnnData, **options: Any) -> pd.Series:
        """The most probable class of each cell.

        Parameters
        ----------
        adata
            Cells.
        **options
            As for :meth:`predict_proba`.

        Returns
        -------
        Class names, indexed by ``obs_names``.
        """
        return self.predict_proba(adata, **options).idxmax(axis=1).rename("class")

    def evaluate(self, adata: AnnData, *, labels_key: str | None = None, **options: Any) -> dict[str, float]:
        """Compare with true labels, over all cells at once.

        Parameters
        ----------
        adata
            Cells.
        labels_key
            Column of ``.obs`` with the classes; that of the training if None. Cells without a
            label, and those of a class that the classifier does not know, are left out with a
            warning.
        **options
            As for :meth:`predict_proba`.

        Returns
        -------
        mcc, auroc, accuracy, macro_f1 (over the classes that are present) and n, the number of
        cells.

        Raises
        ------
        SetupError
            The column does not exist.
        DataError
            No cell has a label that the classifier knows.
        """
        labels = read_labels(adata, self.record.labels_key if labels_key is None else labels_key)
        known = labels.of_classes(self.classes)
        probabilities = self.predict_proba(adata, **options).to_numpy()
        codes = pd.Categorical(labels.names[known], categories=self.classes).codes.astype(np.int64)
        return {**class_metrics(codes, probabilities[known]), "n": len(codes)}

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write weights, classes and genes as ``model.safetensors`` and ``model.json`` into a
        folder, whole or not at all.

        Parameters
        ----------
        path
            Folder to make.
        overwrite
            Replace an existing one.

        Returns
        -------
        The folder.

        Raises
        ------
        CheckpointError
            The folder exists, or holds other files.
        """
        data = {"kind": KIND, "versions": versions(), **self.record.to_json()}
        marks = {"kind": KIND, "vocabulary": self.record.gene.vocabulary.fingerprint()}
        return write_folder(path, {"model": Bundle(dict(self.network.state_dict()), data, marks)}, overwrite=overwrite)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a classifier that :meth:`save` wrote.

        Parameters
        ----------
        path
            The folder.

        Returns
        -------
        The classifier, on the CPU.

        Raises
        ------
        CheckpointError
            The folder holds something else; its subclasses tell damage, a pickle, and weights of
            another vocabulary apart.
        """
        bundle = read_kind(path, KIND)
        with refused_if_misstated(path, KIND):
            record = CellClassifierRecord.from_json(bundle.data)
        check_vocabulary(record.gene.vocabulary, bundle, path)
        check_intact(bundle, path)
        with refused_if_misstated(path, KIND):
            network = _blank_network(record)
        load_weights(network, bundle.tensors, path)
        return cls(network.requires_grad_(False), record)

    @torch.inference_mode()
    def _probabilities(self, source: CellSource, batch_size: int) -> NDArray[np.float32]:
        table, device = CellTable(source, self.record.gene.covariates.blank(source.n_cells)), self.device
        chunks = [np.zeros((0, len(self.classes)), np.float32)]
        for start in range(0, source.n_cells, batch_size):
            batch = table.batch(np.arange(start, min(start + batch_size, source.n_cells))).to(device)
            chunks.append(self.network(batch.tokens()).float().softmax(dim=1).cpu().numpy())
        return np.concatenate(chunks)


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
    from r2mae_bio.cells.fit._finetune import finetune_cell_classifier
    from r2mae_bio.cells.fit._views import LabelledCells

    config = config or CellFinetuneConfig()
    seed = operator.index(seed)  # a NumPy number could not be saved
    labels = read_labels(adata, labels_key)
    split = split_labelled(labels, adata, split_key=split_key, dev_size=dev_size, groups_key=groups_key, seed=seed)
    used = np.concatenate([split.train, split.dev])
    source = _open(record, adata, layer, used)
    classes = sorted(set(labels.names[split.train].tolist()))
    cells = LabelledCells(
        table=CellTable(source, record.covariates.blank(source.n_cells)),
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


def _open(record: GeneRecord, adata: AnnData, layer: str | None, indices: Any, **alignment: Any) -> CellSource:
    """The cells as the pretrained model would read them: layer, checks and genes."""
    layer = query_layer(adata, layer, record.setup.layer, record.config.gene_likelihood)
    Setup(layer, record.config.gene_likelihood).check(adata, allow_empty=True)
    aligned = align_anndata(record.vocabulary, adata, **alignment)
    return open_cells(adata, layer=layer, alignment=aligned, indices=indices)


def _blank_network(record: CellClassifierRecord) -> CellClassifierNetwork:
    autoencoder = build_network(blank_statistics(len(record.gene.vocabulary)), record.gene, seed=0)
    config = record.config
    n_latent, n_classes = record.gene.config.n_latent, len(record.classes)
    return CellClassifierNetwork(autoencoder, n_latent, n_classes, n_hidden=config.n_hidden, dropout=config.dropout)
