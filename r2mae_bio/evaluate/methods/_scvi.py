"""scVI as a method of a table: what a user of scvi-tools would do with a panel or another batch."""

from __future__ import annotations

import logging
import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_seed
from r2mae_bio._splits import as_batches
from r2mae_bio.evaluate._chunks import chunks
from r2mae_bio.evaluate.methods._as_anndata import as_anndata
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.methods._log_normalize import check_measured, take_measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["QUIETLY", "SCVI", "FittedSCVI", "alone", "batched_anndata", "minibatches", "train_scvi"]

QUIETLY: Final[dict[str, Any]] = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}
"""Arguments of every ``train`` of scvi-tools."""

N_SAMPLES = 10
"""Draws from the posterior over which expected counts are averaged; scvi-tools has no mean without
sampling.
"""


@dataclass(frozen=True)
class SCVI:
    """``scvi.model.SCVI`` with the defaults of scvi-tools, genes that were not measured taken as
    zero, as is usual with it.

    Trained on the CPU, in silence; the state of global random generators and of ``scvi.settings``
    is put back afterwards. Nothing of a query is matched by name: its columns are those of the
    training data, in their order.
    """

    n_latent: int = 30
    """Width of the embedding (k). The default of scvi-tools is 10; 30 is what its tutorials take
    for data with many cell types.
    """
    max_epochs: int | None = None
    """Passes over the training cells; if None, the rule of scvi-tools, 400 for up to 20,000 cells
    and fewer for more.
    """
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``scvi.model.SCVI``, such as ``n_layers``."""
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of its ``train``, such as ``early_stopping``."""
    uses_batch: bool = True
    """Whether tasks that know the batches give them as ``batch_key``."""
    name: str = "scVI, zero fill"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedSCVI:
        """Train on raw counts (n_cells, n_genes), of the batches ``batch`` (n_cells,) if given.

        Raises
        ------
        ConfigError
            The encoder is to see batches, which a query does not have.
        DataError
            Counts cannot be used or batches do not fit.
        """
        if batch is not None and self.model_kwargs.get("encode_covariates"):
            message = "encode_covariates=True makes the embedding depend on the batch, which queries lack; leave it out."
            raise ConfigError(message)
        adata = batched_anndata(counts, batch)
        with alone(derive_seed(seed, "scvi") % 2**32):  # NumPy's global generator takes no longer seeds
            started = time.perf_counter()
            model = train_scvi(adata, self.n_latent, self.max_epochs, self.model_kwargs, self.train_kwargs)
            model.deregister_manager(adata)  # or the class would hold the cells for as long as the process lives
            return FittedSCVI(model, adata.n_vars, seed, time.perf_counter() - started)


@dataclass(frozen=True)
class FittedSCVI:
    """A trained :class:`SCVI`."""

    model: Any = field(repr=False)
    """The ``scvi.model.SCVI``."""
    n_genes: int
    """Genes of the training data."""
    seed: int
    """Seed of the draws from the posterior."""
    train_seconds: float
    """Seconds that the training took."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Posterior means (n_cells, k) of the zero-filled cells; see
        :meth:`FittedEmbedder.embed`.
        """
        batches = self._batches(counts, measured)
        with alone(None):
            return np.asarray(self.model.get_latent_representation(dataloader=batches), np.float32)

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts (n_cells, n_genes) at the total over the measured genes, averaged over
        draws from the posterior.

        Cells of a model that was trained with batches are decoded as of its first batch.
        """
        batches = self._batches(counts, measured)
        options: dict[str, Any] = {"library_size": "latent", "n_samples": N_SAMPLES, "return_numpy": True}
        with alone(derive_seed(self.seed, "scvi-rates") % 2**32):
            return np.asarray(self.model.get_normalized_expression(dataloader=batches, **options), np.float32)

    def _batches(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Iterator[dict[str, Tensor]]:
        """Minibatches as scvi-tools makes them from an AnnData, which it would keep and check at
        random.
        """
        measured = check_measured(measured, self.n_genes)
        return minibatches(counts, measured, np.zeros(counts.shape[0], np.int64))


def train_scvi(
    adata: AnnData, n_latent: int, max_epochs: int | None, model_kwargs: dict[str, Any], train_kwargs: dict[str, Any]
) -> Any:
    """The ``scvi.model.SCVI`` of some cells, and of their batches where ``.obs["batch"]`` has
    them.
    """
    import scvi

    scvi.model.SCVI.setup_anndata(adata, batch_key="batch" if "batch" in adata.obs else None)
    model = scvi.model.SCVI(adata, n_latent=n_latent, **model_kwargs)
    model.train(max_epochs=max_epochs, **{**QUIETLY, **train_kwargs})
    return model


def minibatches(counts: SparseCounts, measured: NDArray[np.bool_], batch: NDArray[np.int64]) -> Iterator[dict[str, Tensor]]:
    """What networks of scvi-tools read of zero-filled cells (n_cells, n_genes), of the batches with
    these numbers (n_cells,).
    """
    import torch
    from scvi import REGISTRY_KEYS

    kept, genes = take_measured(counts, measured), np.flatnonzero(measured)
    for some in chunks(kept.shape[0]):
        part = kept[some]
        filled = np.zeros((part.shape[0], len(measured)), np.float32)
        filled[:, genes] = part.toarray()
        number = torch.from_numpy(batch[some, None].astype(np.int64))
        none = torch.zeros_like(number)
        yield {REGISTRY_KEYS.X_KEY: torch.from_numpy(filled), REGISTRY_KEYS.BATCH_KEY: number, REGISTRY_KEYS.LABELS_KEY: none}


def batched_anndata(counts: SparseCounts, batch: ArrayLike | None) -> AnnData:
    """All genes of some cells, with their batches (n_cells,), if known, in ``.obs["batch"]``."""
    import pandas as pd

    matrix = sparse.csr_matrix(take_measured(counts, all_measured(counts)).astype(np.float32))
    adata = as_anndata(matrix, range(matrix.shape[1]))
    if batch is not None:
        adata.obs["batch"] = pd.Categorical(as_batches(batch, adata.n_obs))
    return adata


@contextmanager
def alone(seed: int | None) -> Iterator[None]:
    """Silence scvi-tools and Lightning, seed the generators if asked to, and leave no trace in
    global state.
    """
    loggers = [logging.getLogger(name) for name in ("scvi", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scvi
        import torch
        from pytorch_lightning.utilities.seed import isolate_rng

        levels, settings_seed, environment = [x.level for x in loggers], scvi.settings.seed, dict(os.environ)
        deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
        with isolate_rng():
            try:
                for logger in loggers:
                    logger.setLevel(logging.ERROR)
                if seed is not None:
                    scvi.settings.seed = seed
                yield
            finally:
                for logger, level in zip(loggers, levels, strict=True):
                    logger.setLevel(level)
                scvi.settings._seed = settings_seed  # the setter would seed the global generators anew
                torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
                _restore_environment(environment)


def _restore_environment(before: dict[str, str]) -> None:
    """Take back what scvi-tools and Lightning announce to other processes."""
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "XLA_FLAGS"):
        if name in before:
            os.environ[name] = before[name]
        else:
            os.environ.pop(name, None)
