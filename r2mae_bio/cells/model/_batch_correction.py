"""The part of ``GeneMAE`` that takes batches out of embeddings, and maps batches that were not
trained on.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._batch_effects import FEWEST_CELLS, add_batches, fit_batch_effects
from r2mae_bio.cells.model._covariates import check_column
from r2mae_bio.cells.model._setup import query_layer
from r2mae_bio.cells.read._matrix import gene_totals, get_matrix

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._record import GeneRecord
    from r2mae_bio.cells.network._batch_effects import BatchEffects
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder

_MOST_CELLS = 20_000
"""Cells from which batch effects are estimated; more do not move them."""
_WHOLE = "query"
"""How the name of a query without batches begins; a fingerprint of its cells follows, so that
another query is another batch.
"""


class BatchCorrectionMixin:
    """Batch effects of a gene model."""

    record: GeneRecord
    network: GeneMaskedAutoencoder | None

    @property
    def batches(self) -> list[str]:
        """Names of the batches that can be taken out of an embedding: those trained on and those
        mapped later.
        """
        return list(self.record.batches)

    def knows_batches(self, adata: AnnData) -> bool:
        """Whether the model can take the batches of all cells out of their embeddings.

        Parameters
        ----------
        adata
            The cells.

        Returns
        -------
        False where the model was set up without ``batch_key``, or the data lack this column or have
        batches that are still to be mapped.
        """
        key = self.record.setup.batch_key
        return key is not None and key in adata.obs and set(adata.obs[key].astype(str)) <= set(self.record.batches)

    def map_query(
        self,
        query: AnnData,
        *,
        batch_key: str | None = None,
        layer: str | None = None,
        batch_size: int | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> NDArray[np.float32]:
        """Embed cells of new batches among those of the reference; nothing is retrained, and no
        reference cell moves.

        What each new batch adds to the embedding is estimated by laying its cells on the
        neighbourhoods of the reference (see :class:`r2mae_bio.nn.BatchEffects`), as in Symphony
        (Kang et al. 2021, doi:10.1038/s41467-021-25957-x). The model keeps it, also on disk: later
        calls of :meth:`get_latent_representation` and of this method with the same batch give the
        same embedding. Cells of a type that the reference lacks are drawn towards the nearest one
        as far as the rest of their batch is.

        Parameters
        ----------
        query
            Cells to map.
        batch_key
            Column of ``.obs`` with the batch; if None, the column of the training data where the
            query has it, else the query is one new batch, named ``"query"`` and a fingerprint of
            its counts and names. Cells of a batch that the model knows are taken to be of that
            batch, so give new batches new names. Batches of fewer than 10 cells are not corrected,
            with a warning.
        layer, batch_size, duplicates, min_coverage
            As for :meth:`get_latent_representation`.

        Returns
        -------
        Embedding, float32 (n_cells, n_latent), to be compared with that of the reference.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        SetupError
            The model was made without ``batch_key`` and holds no training data, or the column does
            not exist.
        DataError
            Batches are missing for some cells.
        CountsError, DuplicateGenesError, GeneCoverageError
            The data cannot be used; the message says why and what to do.
        """
        latent = self.get_latent_representation(  # type: ignore[attr-defined]
            query, None, batch_size, layer=layer, duplicates=duplicates, min_coverage=min_coverage, correct_batch=False
        )
        names = self._names_of(query, batch_key, layer)
        effects = self._effects()
        known = self.record.batches
        new = sorted(set(names) - set(known))
        rows = np.isin(names, new)
        if new:
            _warn_of_few(names[rows])
            effects = add_batches(effects, latent[rows], np.searchsorted(new, names[rows]), len(new))
            self.network.batch_effects, self.record.batches = effects, (*known, *new)  # type: ignore[union-attr]
        return self._corrected(latent, self._numbers(names))

    def _names_of(self, query: AnnData, batch_key: str | None, layer: str | None) -> NDArray[Any]:
        """Batch of each cell, as text."""
        key = self.record.setup.batch_key if batch_key is None else batch_key
        if batch_key is None and (key is None or key not in query.obs):
            layer = query_layer(query, layer, self.record.setup.layer, self.record.config.gene_likelihood)
            return np.full(query.n_obs, f"{_WHOLE} {_fingerprint(query, layer)}", dtype=object)
        return _as_text(query.obs, str(key))

    def _effects(self) -> BatchEffects:
        """The effects of the reference; one without batches is one batch."""
        network = self._network()  # type: ignore[attr-defined]
        if network.batch_effects is None:
            if self._adata is None:  # type: ignore[attr-defined]
                message = (
                    "This model was trained without batch_key and holds no data, so the reference to map on is unknown; "
                    "load it with its training data: GeneMAE.load(path, adata)."
                )
                raise SetupError(message)
            self._fit_batch_effects()
        effects: BatchEffects = network.batch_effects
        return effects

    def _fit_batch_effects(self) -> None:
        """Estimate batch effects from the training data."""
        adata, record = self._training_data(), self.record  # type: ignore[attr-defined]
        record.batches = ()
        generator = derive_generator(record.seed, "batch effects")
        cells = np.sort(generator.permutation(adata.n_obs)[:_MOST_CELLS])
        latent = self.get_latent_representation(indices=cells, correct_batch=False)  # type: ignore[attr-defined]
        key = record.setup.batch_key
        names = np.full(adata.n_obs, "reference") if key is None else _as_text(adata.obs, key)
        batches, numbers = np.unique(names.astype(str), return_inverse=True)
        effects = fit_batch_effects(latent, numbers[cells], len(batches), generator)
        self._network().batch_effects = effects.to(self.device)  # type: ignore[attr-defined]
        record.batches, record.n_neighbourhoods = tuple(map(str, batches)), effects.centroids.shape[0]

    def _before_training(self) -> None:
        if self.network is not None:
            self.network.batch_effects = None
        self.record.batches, self.record.n_neighbourhoods = (), 0

    def _batch_numbers(self, adata: AnnData, indices: Any, correct_batch: bool | None) -> NDArray[np.int64] | None:  # noqa: FBT001
        """Number of each cell's batch, or None if nothing is to be taken out."""
        key = self.record.setup.batch_key
        if correct_batch is False or (correct_batch is None and (key is None or not self.record.batches)):
            return None
        if correct_batch is None and key not in adata.obs:
            message = (
                f"obs has no column {key!r}, so the embedding is not corrected for batches. Map new batches with map_query(), or pass "
                "correct_batch=False to say that this is meant."
            )
            warnings.warn(message, stacklevel=4)
            return None
        if key is None or not self.record.batches:
            message = "correct_batch=True needs a model that was set up with batch_key and trained; this one was not."
            raise SetupError(message)
        obs = adata.obs if indices is None else adata.obs.iloc[np.asarray(indices)]
        return self._numbers(_as_text(obs, key))

    def _numbers(self, names: NDArray[Any]) -> NDArray[np.int64]:
        """Numbers of batches."""
        known = {name: number for number, name in enumerate(self.record.batches)}
        unknown = sorted(set(names) - set(known))
        if unknown:
            message = (
                f"The model does not know the batches {', '.join(map(repr, unknown[:5]))} ({len(unknown)} in all); it knows "
                f"{', '.join(map(repr, list(known)[:5]))} ({len(known)} in all). Map them with map_query() first, or pass correct_batch=False."
            )
            raise DataError(message)
        return np.array([known[name] for name in names], np.int64)

    def without_batches(self, latent: NDArray[np.float32], adata: AnnData, indices: Any = None) -> NDArray[np.float32]:
        """Uncorrected embeddings (n_cells, n_latent) of cells, or of those at ``indices``, without
        what their batches add.
        """
        obs = adata.obs if indices is None else adata.obs.iloc[np.asarray(indices)]
        return self._corrected(latent, self._numbers(_as_text(obs, str(self.record.setup.batch_key))))

    @torch.inference_mode()
    def _corrected(self, latent: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings without what their batches add, cell by cell."""
        effects = self._network().batch_effects  # type: ignore[attr-defined]
        step = 4096
        parts = [np.zeros((0, latent.shape[1]), np.float32)]
        for start in range(0, len(latent), step):
            rows = slice(start, start + step)
            there = torch.from_numpy(latent[rows]).to(self.device), torch.from_numpy(numbers[rows]).to(self.device)  # type: ignore[attr-defined]
            parts.append(effects(*there).cpu().numpy())
        return np.concatenate(parts)


def _warn_of_few(names: NDArray[Any]) -> None:
    """Say which batches have too few cells for an estimate."""
    found, number = np.unique(names.astype(str), return_counts=True)
    few = found[number < FEWEST_CELLS].tolist()
    if few:
        message = f"Batches of fewer than {FEWEST_CELLS} cells are not corrected: {', '.join(few[:5])} ({len(few)} in all)."
        warnings.warn(message, stacklevel=3)


def _fingerprint(query: AnnData, layer: str | None) -> str:
    """Eight letters that tell queries apart."""
    digest = hashlib.sha256("\n".join(map(str, (*query.obs_names, "", *query.var_names))).encode())
    digest.update(np.asarray(gene_totals(get_matrix(query, layer)), np.float64).tobytes())
    return digest.hexdigest()[:8]


def _as_text(obs: pd.DataFrame, key: str) -> NDArray[Any]:
    check_column(obs, key)
    return obs[key].astype(str).to_numpy(dtype=object)
