"""The part of ``GeneMAE`` that embeds cells, takes batches out, and maps batches not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._rng import derive_generator
from r2mae_bio._warn import warn
from r2mae_bio.cells.fit._batch_effects import enough_cells, fit_batch_effects
from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.model._batch_correction import (
    batch_names,
    batch_numbers,
    grow,
    query_names,
    without_effects,
)
from r2mae_bio.cells.model._library_size import library_sizes
from r2mae_bio.cells.model._reader import GeneReader
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._obs import read_column, text_values
from r2mae_bio.config._names import AnswersForClass, answers_misspelt, answers_scvi, refuse_attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.network._batch_effects import BatchEffects

__all__ = ["CellEmbedder"]


class CellEmbedder(GeneReader, metaclass=AnswersForClass):
    """Embeddings of cells, with or without what batches add, and the depth they leave out."""

    if not TYPE_CHECKING:  # a type checker should go on knowing which attributes there are

        def __getattr__(self, name: str) -> Any:
            refuse_attribute(f"{type(self).__name__!r} object", name)

    @answers_scvi(
        "adata indices give_mean mc_samples batch_size return_dist dataloader",
        give_mean="an embedding is not drawn; there is one for each cell",
        mc_samples="an embedding is not drawn; there is one for each cell",
        return_dist="an embedding is not drawn; there is one for each cell",
        dataloader="pass the cells as adata",
    )
    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        batch_size: int | None = None,
        *,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
        correct_batch: bool | None = None,
    ) -> NDArray[np.float32]:
        """Embed cells, seeing every gene that was measured.

        Genes are matched by name, whatever their order; genes of the model that the data lack are
        hidden, and in cells of a panel those that it did not measure, where the data say so (see
        :func:`r2mae_bio.pp.measured_by_batch`): such cells are embedded as in data without these
        columns. A cell's embedding does not depend on the other cells, on their order or on
        ``batch_size`` (to about 1e-5). A model that was set up with ``batch_key`` takes out what
        the cell's batch adds, which it estimated once, at the end of training.

        Parameters
        ----------
        adata
            Cells to embed; the training data if None. It need not have been set up.
        indices
            Positions of cells (negative ones count from the end), a slice, a boolean mask, or names
            of cells; all if None.
        batch_size
            Cells at a time; 512 if None.
        layer
            Layer of counts; if None, that of the data's own setup, else that of the training data
            if present, else ``X``.
        duplicates
            What to do with columns of the same gene: ``"error"`` or ``"sum"``.
        min_coverage
            Smallest share of the model's genes that must be measured.
        correct_batch
            Take batches out; if None, where the model was set up with ``batch_key`` and the data
            have this column.

        Returns
        -------
        Embedding, float32 (n_cells, n_latent). A report of the matched genes is kept as
        ``model.coverage`` and, if ``adata`` is given and no view, written to
        ``.uns["r2mae"]["coverage"]``.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            ``batch_size`` is not positive.
        CountsError, DuplicateGenesError, GeneCoverageError, SetupError
            The data cannot be used; the message says why and what to do.
        DataError
            The batch of a cell is missing, or unknown to the model; see :meth:`map_query`.
        """
        numbers = self._checked_numbers(adata, indices, batch_size, correct_batch)
        reading = {"layer": layer, "duplicates": duplicates, "min_coverage": min_coverage}
        latent = self._uncorrected(adata, indices, batch_size, **reading)
        return latent if numbers is None else without_effects(self._known_effects(), latent, numbers)

    @answers_misspelt
    def iter_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        batch_size: int | None = None,
        *,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
        correct_batch: bool | None = None,
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The same as :meth:`get_latent_representation`, ``batch_size`` cells at a time, for more
        cells than embeddings fit into memory.

        Parameters
        ----------
        adata, indices, batch_size, layer, duplicates, min_coverage, correct_batch
            As in :meth:`get_latent_representation`, whose errors these are, too.

        Yields
        ------
        Which of the cells these are, counted from the first of ``indices``, and their embedding,
        float32 (n_some, n_latent).
        """
        numbers = self._checked_numbers(adata, indices, batch_size, correct_batch)
        with self._cells(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage) as table:
            for some, latent in self._embed_blocks(table, batch_size, warns=True):
                yield some, latent if numbers is None else without_effects(self._known_effects(), latent, numbers[some])

    def _open_latent(
        self,
        adata: AnnData,
        *,
        batch_size: int | None,
        correct_batch: bool | None,
        checked: bool = False,
        **reading: Any,
    ) -> Callable[[int, int], Iterator[NDArray[np.float32]]]:
        """What embeds the cells from one position to another, ``batch_size`` of them at a time;
        ``checked`` and ``reading`` go to :meth:`_open`.
        """
        numbers = self._checked_numbers(adata, None, batch_size, correct_batch)
        table, embed = self._open(adata, checked=checked, **reading), self._block_reader()

        def blocks(first: int, last: int) -> Iterator[NDArray[np.float32]]:
            for some, latent in self._embed_blocks(table, batch_size, np.arange(first, last), embed, warns=True):
                cells = slice(first + some.start, first + some.stop)
                yield latent if numbers is None else without_effects(self._known_effects(), latent, numbers[cells])

        return blocks

    def _checked_numbers(
        self,
        adata: AnnData | None,
        indices: Any,
        batch_size: int | None,
        correct_batch: bool | None,  # noqa: FBT001
    ) -> NDArray[np.int64] | None:
        """Number of each cell's batch, after what can be refused before values are read."""
        self._network()
        cells_at_a_time(batch_size)
        data = self._training_data() if adata is None else adata
        check_anndata(data)
        return self._batch_numbers(data, indices, correct_batch)

    @answers_scvi(
        "adata indices give_mean batch_size dataloader",
        give_mean="it is the mean always",
        dataloader="pass the cells as adata",
    )
    def get_latent_library_size(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        *,
        batch_size: int | None = None,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> NDArray[np.float32]:
        """Counts that a cell would have if every gene of the model were measured, as estimated from
        those that are.

        Embeddings do not depend on depth. Where depth is biology (cells of different sizes,
        quiescent cells), add its logarithm to the embedding as a column of its own. The estimate is
        the posterior mean under the model's gamma prior: counts seen, over the share of the cell's
        predicted composition that could be seen.

        Parameters
        ----------
        adata, indices, batch_size, layer, duplicates, min_coverage
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Counts per cell, float32 (n_cells,), positive.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            The model was trained on log-normalised values, or ``batch_size`` is not positive.
        CountsError, DuplicateGenesError, GeneCoverageError, SetupError
            The data cannot be used; the message says why and what to do.
        """
        network, step = self._network().eval(), cells_at_a_time(batch_size)
        if self.config.gene_likelihood == "normal":
            message = (
                "gene_likelihood is 'normal'; needed is a model of counts ('nb', 'zinb' or 'poisson'), for log-normalised "
                "values have no depth."
            )
            raise ConfigError(message)
        with self._cells(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage) as table:
            return library_sizes(network, table, step)

    # ------------------------------------------------------------------ batches

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
        return key is not None and key in adata.obs and set(text_values(read_column(adata.obs, key))) <= set(self.record.batches)

    @answers_misspelt
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
        neighbourhoods of the reference (see
        :class:`r2mae_bio.cells.network._batch_effects.BatchEffects`), as in Symphony (Kang et al.
        2021, doi:10.1038/s41467-021-25957-x). The model keeps it, also on disk: later calls of
        :meth:`get_latent_representation` and of this method with the same batch give the same
        embedding. Cells of a type that the reference lacks are drawn towards the nearest one as far
        as the rest of their batch is. A batch whose cells lie in fewer than two fifths of the
        neighbourhoods, as one of a single cell type, is not corrected, with a warning: nobody can
        tell its batch from its type. On a reference of fewer than 90 cells none is.

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
        self._network()
        check_anndata(query)
        reading = {"layer": layer, "duplicates": duplicates, "min_coverage": min_coverage}
        latent = self._uncorrected(query, None, batch_size, batch_key=batch_key, **reading)
        names = query_names(self.record, query, batch_key, layer)
        effects = self._effects_of_reference()
        known = self.record.batches
        new = sorted(set(names) - set(known))
        if new:
            rows = np.isin(names, new)
            effects = grow(effects, latent[rows], names[rows], new)
            self._network().batch_effects, self.record.batches = effects, (*known, *new)
        return without_effects(effects, latent, batch_numbers(self.record.batches, names))

    def without_batches(self, latent: NDArray[np.float32], adata: AnnData, indices: Any = None) -> NDArray[np.float32]:
        """Uncorrected embeddings (n_cells, n_latent) of cells, or of those at ``indices``, without
        what their batches add.
        """
        numbers = batch_numbers(self.record.batches, batch_names(adata, str(self.record.setup.batch_key), indices))
        return without_effects(self._known_effects(), latent, numbers)

    def _uncorrected(self, adata: AnnData | None, indices: Any, batch_size: int | None, **reading: Any) -> NDArray[np.float32]:
        """Embeddings (n_cells, n_latent) with what batches add; ``reading`` goes to
        :meth:`_cells`.
        """
        cells_at_a_time(batch_size)
        with self._cells(adata, indices, **reading) as table:
            return self._embed(table, batch_size, warns=True)

    def _known_effects(self) -> BatchEffects:
        effects = self._network().batch_effects
        assert effects is not None  # a model that knows batches has their effects
        return effects

    def _effects_of_reference(self) -> BatchEffects:
        """The effects of the reference; one without batches is one batch."""
        if self._network().batch_effects is None:
            if self._adata is None:
                message = (
                    "This model was trained without batch_key and holds no data, so the reference to map on is unknown; "
                    "load it with its training data: GeneMAE.load(path, adata)."
                )
                raise SetupError(message)
            self._fit_batch_effects()
        return self._known_effects()

    def _fit_batch_effects(self) -> None:
        """Estimate batch effects from the training data."""
        adata, record = self._training_data(), self.record
        record.batches = ()
        generator = derive_generator(record.seed, "batch effects")
        cells = enough_cells(adata.n_obs, generator)
        latent = self.get_latent_representation(indices=cells, correct_batch=False)
        batches, numbers = np.unique(self._training_batches(), return_inverse=True)
        effects = fit_batch_effects(latent, numbers[cells], len(batches), generator)
        self._network().batch_effects = effects.to(self.device)
        record.batches, record.n_neighbourhoods = tuple(map(str, batches)), effects.centroids.shape[0]

    def _training_batches(self) -> NDArray[np.str_]:
        """Batch of each training cell, all one if the model was set up without."""
        adata, key = self._training_data(), self.record.setup.batch_key
        return np.full(adata.n_obs, "reference") if key is None else batch_names(adata, key).astype(str)

    def _before_training(self) -> None:
        lost = sorted(set(self.record.batches) - set(self._training_batches()))
        if lost:
            message = (
                f"Training changes the embedding, and so what batches add to it. The model forgets batches that are not in the training "
                f"data: {', '.join(map(repr, lost[:5]))} ({len(lost)} in all). Map their cells anew with map_query()."
            )
            warn(message)
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
            warn(message)
            return None
        if key is None or not self.record.batches:
            message = "correct_batch=True needs a model that was set up with batch_key and trained; this one was not."
            raise SetupError(message)
        return batch_numbers(self.record.batches, batch_names(adata, key, indices))
