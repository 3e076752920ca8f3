"""scVI and scANVI between a reference and a query: trained on both, or mapped by scArches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_seed
from r2mae_bio._splits import as_batches, as_labels
from r2mae_bio.evaluate.methods._embedder import Annotation
from r2mae_bio.evaluate.methods._log_normalize import check_measured, take_measured
from r2mae_bio.evaluate.methods._scvi import QUIETLY, alone, batched_anndata, minibatches, train_scvi

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["SCANVI", "FittedSCANVI", "FittedSCArches", "SCArches"]

SURGERY: Final[dict[str, Any]] = {
    "n_layers": 2,
    "use_layer_norm": "both",
    "use_batch_norm": "none",
    "encode_covariates": True,
    "dropout_rate": 0.2,
}
"""Networks that scvi-tools recommends for references of queries: with its defaults the encoder sees
no batch, and no query could change an embedding.
"""
QUERY_EPOCHS: Final = 200
"""Passes over a query, with weights that do not decay, as scvi-tools recommends."""
UNKNOWN: Final = "Unknown"


@dataclass(frozen=True)
class SCArches:
    """scVI whose networks learn the batches of a query after training (Lotfollahi et al. 2022,
    doi:10.1038/s41587-021-01001-7), by ``load_query_data`` of scvi-tools.

    Cells of batches that the reference lacks are embedded by a copy of the model, of which only the
    weights that read these batches are trained, on these cells. A cell's embedding then depends on
    the other cells of the query. Trained on the CPU, see :class:`SCVI`.
    """

    n_latent: int = 30
    """Width of the embedding (k)."""
    max_epochs: int | None = None
    """Passes over the reference; see :class:`SCVI`."""
    query_epochs: int = QUERY_EPOCHS
    """Passes over a query."""
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``scvi.model.SCVI``, whose defaults are those for queries."""
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of its ``train`` on the reference, such as ``early_stopping``."""
    uses_batch: bool = True
    """Whether tasks that know the batches tell them."""
    name: str = "scVI, mapped"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedSCArches:
        """Train on raw counts (n_cells, n_genes), of the batches ``batch`` (n_cells,), or of one if
        None.

        Raises
        ------
        DataError
            Counts cannot be used or batches do not fit.
        """
        adata = batched_anndata(counts, _batches(batch, counts.shape[0], "reference"))
        with alone(derive_seed(seed, "scvi") % 2**32):
            model = _train_scvi(adata, self)
            model.deregister_manager(adata)
        names = adata.obs["batch"].cat.categories.to_numpy(str)
        return FittedSCArches(model, names, adata.n_vars, self.query_epochs, seed)


@dataclass(frozen=True)
class FittedSCArches:
    """A trained :class:`SCArches`."""

    model: Any = field(repr=False)
    """The ``scvi.model.SCVI`` of the reference; it stays as it is."""
    batches: NDArray[np.str_]
    """Batches of the reference, sorted."""
    n_genes: int
    """Genes of the training data."""
    query_epochs: int
    """Passes over a query."""
    seed: int
    """Seed of the training on a query."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Posterior means (n_cells, k) of zero-filled cells, as of the first batch; see
        :meth:`FittedEmbedder.embed`.
        """
        return self._embed(counts, check_measured(measured, self.n_genes), np.zeros(counts.shape[0], np.int64))

    def embed_batches(self, counts: SparseCounts, measured: NDArray[np.bool_], batch: ArrayLike) -> NDArray[np.float32]:
        """Posterior means (n_cells, k) of zero-filled cells of the batches (n_cells,), new ones
        learned first; see :meth:`BatchCorrecting.embed_batches`.

        Raises
        ------
        DataError
            The batches do not fit the counts.
        """
        measured = check_measured(measured, self.n_genes)
        names = as_batches(batch, counts.shape[0])
        known = np.isin(names, self.batches)
        embedding = np.empty((counts.shape[0], self.model.module.n_latent), np.float32)
        if known.any():
            rows = np.flatnonzero(known)
            embedding[rows] = self._embed(counts[rows], measured, np.searchsorted(self.batches, names[rows]))
        if not known.all():
            rows = np.flatnonzero(~known)
            embedding[rows] = self._map(_zero_filled(counts[rows], measured), names[rows])
        return embedding

    def _embed(self, counts: SparseCounts, measured: NDArray[np.bool_], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        with alone(None):
            return np.asarray(self.model.get_latent_representation(dataloader=minibatches(counts, measured, numbers)), np.float32)

    def _map(self, counts: SparseCounts, names: NDArray[np.str_]) -> NDArray[np.float32]:
        query = batched_anndata(counts, names)
        with alone(derive_seed(self.seed, "scvi-query") % 2**32):
            model = _operate(self.model, query, self.query_epochs)
            embedding = np.asarray(model.get_latent_representation(query), np.float32)
            model.deregister_manager(query)
        return embedding


@dataclass(frozen=True)
class SCANVI:
    """``scvi.model.SCANVI``, which labels the cells of a query itself, started at scVI.

    Either trained on reference and query together, the labels of the query unknown, or on the
    reference, and mapped to the query as :class:`SCArches` is. Both are transductive. Trained on
    the CPU, see :class:`SCVI`.
    """

    mapped: bool = False
    """Train on the reference alone, and map."""
    n_latent: int = 30
    """Width of the latent space."""
    max_epochs: int | None = None
    """Passes of scVI; see :class:`SCVI`."""
    label_epochs: int = 20
    """Further passes, with labels: those of the tutorials of scvi-tools, 100 cells of each label in
    a pass.
    """
    query_epochs: int = QUERY_EPOCHS
    """Passes over a query onto which it is mapped."""
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``scvi.model.SCVI``; if mapped, its defaults are those for queries."""
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the ``train`` of scVI, such as ``early_stopping``."""
    name: str = "scANVI"
    """Name in tables."""
    sees_query: bool = field(default=True, init=False)
    """It learns from the counts of the query."""

    def fit(self, counts: SparseCounts, labels: ArrayLike, *, seed: int, batch: ArrayLike | None = None) -> FittedSCANVI:
        """Train on raw counts (n_cells, n_genes) and labels (n_cells,), of the batches ``batch``
        (n_cells,), or of one if None; without ``mapped``, all is done when the query is there.

        Raises
        ------
        DataError
            Counts cannot be used, labels or batches do not fit, or a label is ``"Unknown"``.
        """
        classes = as_labels(labels)
        if len(classes) != counts.shape[0] or UNKNOWN in classes:
            message = (
                f"There are {len(classes)} labels for {counts.shape[0]} cells, {int((classes == UNKNOWN).sum())} of them {UNKNOWN!r}; "
                "needed is one known label per cell. Leave out the cells without."
            )
            raise DataError(message)
        reference = _labelled(counts, classes, _batches(batch, counts.shape[0], "reference"))
        model = None
        if self.mapped:
            with alone(derive_seed(seed, "scanvi") % 2**32):
                model = _train_scanvi(reference, self)
                model.deregister_manager(reference)
        return FittedSCANVI(self, reference, model, seed)


@dataclass(frozen=True)
class FittedSCANVI:
    """A :class:`SCANVI` that has the labels of its reference."""

    settings: SCANVI
    """What was asked for."""
    reference: AnnData = field(repr=False)
    """Labelled cells."""
    model: Any = field(repr=False)
    """The ``scvi.model.SCANVI`` of the reference, if it is to be mapped."""
    seed: int
    """Seed of the training that is still to be done."""

    def annotate(self, counts: SparseCounts, *, batch: ArrayLike | None = None) -> Annotation:
        """Learn from the query, and label it; see :meth:`FittedAnnotator.annotate`."""
        n_query = counts.shape[0]
        query = _labelled(counts, np.full(n_query, UNKNOWN), _batches(batch, n_query, "query"))
        with alone(derive_seed(self.seed, "scanvi-query") % 2**32):
            if self.model is None:
                import anndata as ad

                cells = ad.concat([self.reference, query], index_unique="-", keys=["reference", "query"])
                model, rows = _train_scanvi(cells, self.settings), np.arange(self.reference.n_obs, cells.n_obs)
            else:
                cells, rows = query, np.arange(n_query)
                model = _operate(self.model, cells, self.settings.query_epochs)
            found = model.predict(cells, indices=rows, soft=True)
            model.deregister_manager(cells)
        order = np.argsort(found.columns.to_numpy(str))
        return Annotation(found.columns.to_numpy(str)[order], found.to_numpy(np.float64)[:, order])


def _train_scvi(adata: AnnData, settings: SCArches | SCANVI) -> Any:
    """The ``scvi.model.SCVI`` of some cells and their batches."""
    networks = SURGERY if isinstance(settings, SCArches) or settings.mapped else {}
    model_kwargs = {**networks, **settings.model_kwargs}
    return train_scvi(adata, settings.n_latent, settings.max_epochs, model_kwargs, settings.train_kwargs)


def _train_scanvi(adata: AnnData, settings: SCANVI) -> Any:
    """The ``scvi.model.SCANVI`` of some cells."""
    import scvi

    start = _train_scvi(adata, settings)
    model = scvi.model.SCANVI.from_scvi_model(start, unlabeled_category=UNKNOWN, labels_key="label")
    model.train(max_epochs=settings.label_epochs, n_samples_per_label=100, **QUIETLY)
    start.deregister_manager(adata)
    return model


def _operate(model: Any, query: AnnData, epochs: int) -> Any:
    """A copy of a model that has learned the batches of a query."""
    mapped = type(model).load_query_data(query, model, accelerator="cpu")
    mapped.train(max_epochs=epochs, plan_kwargs={"weight_decay": 0.0}, **QUIETLY)
    return mapped


def _labelled(counts: SparseCounts, labels: NDArray[np.str_], batch: NDArray[np.str_]) -> AnnData:
    adata = batched_anndata(counts, batch)
    adata.obs["label"] = labels
    return adata


def _batches(batch: ArrayLike | None, n_cells: int, name: str) -> NDArray[np.str_]:
    """Batches of cells, all of one with this name if none are known."""
    return np.full(n_cells, name) if batch is None else as_batches(batch, n_cells)


def _zero_filled(counts: SparseCounts, measured: NDArray[np.bool_]) -> sparse.csr_array:
    """Cells (n_cells, n_genes), genes that were not measured taken as zero."""
    genes = np.flatnonzero(measured)
    place = sparse.csr_array((np.ones(len(genes)), (np.arange(len(genes)), genes)), (len(genes), len(measured)))
    return sparse.csr_array(take_measured(counts, measured) @ place)
