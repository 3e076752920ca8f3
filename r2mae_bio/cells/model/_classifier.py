"""A fine-tuned classifier of cells, with its classes, its genes and its way to disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch

from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.model._labels import read_labels
from r2mae_bio.cells.model._reader import open_table
from r2mae_bio.cells.model._record import GeneRecord, blank_statistics, build_network, check_vocabulary
from r2mae_bio.cells.model._setup import query_layer
from r2mae_bio.cells.network._classifier import CellClassifierNetwork
from r2mae_bio.config import CellFinetuneConfig
from r2mae_bio.config._form import check_form
from r2mae_bio.config._names import answers_misspelt, answers_scvi
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.core._record import HISTORY
from r2mae_bio.core._saved import SavedClassifier

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.core._checkpoint import Bundle

__all__ = ["CellClassifier", "CellClassifierRecord"]


@dataclass(frozen=True, eq=False)
class CellClassifierRecord:
    """Everything of a classifier but its weights."""

    classes: list[Any]
    """The classes, sorted, in the order of the probabilities; text, or numbers or truth values as
    the column of labels held them.
    """
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
        check_form(data, {**_PLAIN, "gene": dict[str, Any]})
        plain = {name: data[name] for name in _PLAIN}
        return cls(
            config=CellFinetuneConfig.from_json(data["config"], complete=True), gene=GeneRecord.from_json(data["gene"]), **plain
        )


_PLAIN: dict[str, Any] = {
    "classes": list[str | int | float | bool],
    "labels_key": str,
    "frozen": bool,
    "seed": int,
    "pretrained": str,
    "best_step": int,
    "history": HISTORY,
}


class CellClassifier(SavedClassifier[CellClassifierRecord, CellClassifierNetwork]):
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

    _kind: ClassVar[str] = "CellClassifier"

    def __repr__(self) -> str:
        classes = (
            f"{len(self.classes)} classes ({', '.join(map(str, self.classes[:5]))}{', ...' if len(self.classes) > 5 else ''})"
        )
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

    @answers_misspelt
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
        step, gene = cells_at_a_time(batch_size), self.record.gene
        layer = query_layer(adata, layer, gene.setup.layer, gene.config.gene_likelihood)
        table, _ = open_table(gene, adata, None, layer, duplicates, min_coverage, compare=gene.setup.batch_key)
        return pd.DataFrame(self._probabilities(table, step), index=adata.obs_names, columns=self.classes)

    @answers_scvi(
        "adata indices soft batch_size",
        indices="pass the cells, adata[indices]",
        soft="call predict_proba()",
    )
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
        Classes, in the type of the labels that were learned from, indexed by ``obs_names``.
        """
        found = self.predict_proba(adata, **options)
        return pd.Series(found.columns[found.to_numpy().argmax(axis=1)], index=found.index, name="class")

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

    @torch.inference_mode()
    def _probabilities(self, table: CellTable, step: int) -> NDArray[np.float32]:
        network, found = self._network(), np.zeros((table.n_cells, len(self.classes)), np.float32)
        for some, batch in table.panel_batches(step, self.device):
            found[some] = network(batch.tokens()).float().softmax(dim=1).cpu().numpy()
        return found

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> CellClassifierRecord:
        return CellClassifierRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: CellClassifierRecord) -> CellClassifierNetwork:
        gene, config = record.gene, record.config
        autoencoder = build_network(blank_statistics(len(gene.vocabulary)), gene, seed=0)
        sizes = gene.config.n_latent, len(record.classes)
        return CellClassifierNetwork(autoencoder, *sizes, n_hidden=config.n_hidden, dropout=config.dropout)

    def _marks(self) -> dict[str, str]:
        return {"vocabulary": self.record.gene.vocabulary.fingerprint()}

    @classmethod
    def _check_marks(cls, record: CellClassifierRecord, bundle: Bundle, path: Path | str) -> None:
        check_vocabulary(record.gene.vocabulary, bundle, path)

    def _after_load(self) -> None:
        self._network().requires_grad_(False)
