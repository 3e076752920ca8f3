"""A gene model as a reader of cells: which cells, by which genes, and its way to folders."""

from __future__ import annotations

import copy
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from r2mae_bio._errors import SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio._progress import asked_for, count_steps
from r2mae_bio._warn import warn
from r2mae_bio.cells.fit._table import CellTable, cells_at_a_time
from r2mae_bio.cells.model._moments import cache_by_panel
from r2mae_bio.cells.model._record import GeneRecord, blank_statistics, build_network, check_vocabulary
from r2mae_bio.cells.model._setup import Setup, choose_likelihood, query_layer
from r2mae_bio.cells.network._batch_effects import BatchEffects
from r2mae_bio.cells.network._entries import Entries, EntryEmbedder
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.cells.read._align import align_anndata
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._uns import write_record
from r2mae_bio.config._names import answers_scvi
from r2mae_bio.core._trainable import Trainable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.read._cells import CellSource
    from r2mae_bio.cells.read._coverage import CoverageReport
    from r2mae_bio.cells.read._genes import GeneVocabulary
    from r2mae_bio.config import GeneConfig
    from r2mae_bio.core._checkpoint import Bundle

__all__ = ["EMBEDDED_AT_ONCE", "GeneReader", "open_source", "open_table", "read_layer"]

EMBEDDED_AT_ONCE = 512
"""Cells, if nothing else is asked for."""


class GeneReader(Trainable[GeneRecord, GeneMaskedAutoencoder]):
    """What every part of a gene model stands on: its genes, and cells read by them."""

    _kind: ClassVar[str] = "GeneMAE"
    coverage: CoverageReport | None
    """How the genes of the last data matched."""
    _adata: AnnData | None

    # ------------------------------------------------------------------ disk

    @classmethod
    @answers_scvi(
        "path adata accelerator device prefix backup_url datamodule allowed_classes_names_list",
        dir_path="it is named path here",
        allowed_classes_names_list="nothing is unpickled",
        accelerator="a model is loaded on the CPU; call to_device() on it",
        device="a model is loaded on the CPU; call to_device() on it",
        prefix="a model is a folder of its own; put the prefix into its name",
        backup_url="nothing is downloaded",
        datamodule="embedding needs no data; pass adata to train further",
    )
    def load(cls, path: Path | str, adata: AnnData | None = None) -> Self:
        """Read a model that :meth:`save` wrote, or the newest checkpoint of a training run.

        Parameters
        ----------
        path
            The folder.
        adata
            Data to train on further, after :meth:`setup_anndata`; embedding needs none. Batch and
            covariates stay those of the model.

        Returns
        -------
        The model, on the CPU.

        Raises
        ------
        CheckpointError
            The folder is none of a gene model; its subclasses tell damage, a pickle, and weights of
            another vocabulary apart.
        SetupError, ConfigError
            ``adata`` was not set up, or for another kind of values, or with other covariates, than
            the model was trained on.
        """
        model = super().load(path)
        if adata is not None:
            setup = Setup.read(adata).with_covariates_of(model.record.setup)
            choose_likelihood(model.config.gene_likelihood, setup)
            model._adata, model.record.setup = adata, setup
        return model

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> GeneRecord:
        return GeneRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: GeneRecord) -> GeneMaskedAutoencoder:
        network = build_network(blank_statistics(len(record.vocabulary)), record, seed=0)
        if record.batches:
            network.batch_effects = BatchEffects(len(record.batches), record.n_neighbourhoods, record.config.n_latent)
        return network

    def _marks(self) -> dict[str, str]:
        return {"vocabulary": self.record.vocabulary.fingerprint()}

    @classmethod
    def _check_marks(cls, record: GeneRecord, bundle: Bundle, path: Path | str) -> None:
        check_vocabulary(record.vocabulary, bundle, path)

    def _after_load(self) -> None:
        self.coverage, self._adata = None, None

    # ------------------------------------------------------------------ state

    @property
    def vocabulary(self) -> GeneVocabulary:
        """The genes of the model."""
        return self.record.vocabulary

    @property
    def config(self) -> GeneConfig:
        """Sizes and likelihood."""
        return self.record.config

    def __repr__(self) -> str:
        config, record = self.config, self.record
        state = f"trained for {len(record.history)} epochs" if self.is_trained else "not trained"
        return (
            f"GeneMAE({len(record.vocabulary)} genes, encoder={config.encoder!r}, mask_ratio={record.law}, "
            f"gene_likelihood={config.gene_likelihood!r}, n_latent={config.n_latent}, seed={record.seed}; {state})"
        )

    def describe(self) -> dict[str, str]:
        """What there is to know about it at a glance, as model cards and notebooks show it.

        Returns
        -------
        Text by name.
        """
        config, record = self.config, self.record
        counts = f"layer {record.setup.layer}" if record.setup.layer else "X"
        keys = {"batches": record.setup.batch_key, "labels": record.setup.labels_key}
        facts = {
            "genes": f"{len(record.vocabulary):,}",
            "network": f"{config.encoder}, {config.n_latent} latent dimensions, {config.gene_likelihood} likelihood",
            "data": ", ".join([f"counts in {counts}", *(f"{name} in {key}" for name, key in keys.items() if key)]),
            **super().describe(),
        }
        if self.coverage is not None:
            facts["last data"] = f"{self.coverage.matched:,} of the genes measured ({self.coverage.matched_fraction:.0%})"
        return facts

    # ------------------------------------------------------------------ reading

    def _training_data(self) -> AnnData:
        if self._adata is None:
            message = "This model holds no data; use GeneMAE.load(path, adata) with data that were set up, or make a new GeneMAE(adata)."
            raise SetupError(message)
        return self._adata

    @contextmanager
    def _cells(
        self,
        adata: AnnData | None,
        indices: Any = None,
        *,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
        batch_key: str | None = None,
    ) -> Iterator[CellTable]:
        """Cells of a query, or of the training data, checked and aligned to the model's genes;
        genes that batches of a query lack are looked for by ``batch_key``, the model's if None.

        A report of the matched genes is kept, and written to a query that is no view once what is
        done with its cells has succeeded.
        """
        table = self._open(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage, batch_key=batch_key)
        yield table
        if adata is not None and not adata.is_view and self.coverage is not None:
            write_record(adata, KEYS.coverage, self.coverage.to_uns())

    def _open(
        self,
        adata: AnnData | None,
        indices: Any = None,
        *,
        layer: str | None,
        duplicates: str,
        min_coverage: float | None,
        batch_key: str | None = None,
        checked: bool = False,
    ) -> CellTable:
        """The same without what is written; ``checked`` says that the values of a query are known
        to be sound.
        """
        record = self.record
        if adata is None:
            layer = record.setup.layer if layer is None else layer
            duplicates = record.duplicates if duplicates == "error" else duplicates  # as the model was told
        else:
            layer = query_layer(adata, layer, record.setup.layer, record.config.gene_likelihood)
        data = self._training_data() if adata is None else adata
        # batches of the training data were compared when they were set up
        compare = None if adata is None else batch_key or record.setup.batch_key
        reading = (indices, layer, duplicates, min_coverage)
        table, self.coverage = open_table(record, data, *reading, compare=compare, checked=checked)
        return table

    def alone(self) -> Self:
        """The same model without its data, to be sent to another process."""
        other = copy.copy(self)
        other._adata = None
        return other

    def _embed(self, table: CellTable, batch_size: int | None, *, warns: bool = False) -> NDArray[np.float32]:
        """Embeddings (n_cells, n_latent) from which batches were not taken out."""
        latent = np.zeros((table.n_cells, self.config.n_latent), np.float32)
        with count_steps("cells", table.n_cells, shown=asked_for()) as advance:
            for some, block in self._embed_blocks(table, batch_size, warns=warns):
                latent[some] = block
                advance(len(block))
        return latent

    def _block_reader(self) -> Callable[[CellBatch], Tensor]:
        """How cells of one panel are embedded."""
        network = self._network().eval()
        with torch.inference_mode():
            sparse = self.device.type == "cpu" and network.content.depth_moments is None
            return _by_entries(network) if sparse else lambda batch: network.embed(batch.tokens())

    def _embed_blocks(
        self,
        table: CellTable,
        batch_size: int | None,
        cells: NDArray[np.int64] | None = None,
        embed: Callable[[CellBatch], Tensor] | None = None,
        *,
        warns: bool = False,
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The same of all cells, or of some, so many at a time, in their order; ``embed`` is what
        :meth:`_block_reader` made before, and ``warns`` whether to warn of cells of which the model
        sees no count.
        """
        n_empty, watched = 0, warns and self._has_columns_of_its_own()
        embed, step = embed or self._block_reader(), cells_at_a_time(batch_size, EMBEDDED_AT_ONCE)
        n_cells, parts = table.n_cells if cells is None else cells.size, table.panel_batches(step, self.device, cells=cells)
        for number, together in itertools.groupby(parts, key=lambda part: _first(part[0]) // step):
            block = slice(number * step, min((number + 1) * step, n_cells))
            latent = np.zeros((block.stop - block.start, self.config.n_latent), np.float32)
            for some, batch in together:
                n_empty += batch.n_empty if watched else 0
                with torch.inference_mode():
                    found = embed(batch).float().cpu().numpy()
                latent[np.arange(some.start, some.stop) - block.start if isinstance(some, slice) else some - block.start] = found
            yield block, latent
        if n_empty:
            warn(
                f"{n_empty:,} of {n_cells:,} cells have no count in those of the genes measured that the model knows. They are "
                "embedded all the same, as cells about which nothing is known."
            )

    def _has_columns_of_its_own(self) -> bool:
        """Whether cells of the last data may have counts in genes alone that are not the model's;
        cells without any were told of when values were checked.
        """
        return self.coverage is not None and self.coverage.unknown > 0 and self.config.gene_likelihood != "normal"


def _first(cells: slice | NDArray[np.int64]) -> int:
    return int(cells.start if isinstance(cells, slice) else cells[0])


def _by_entries(network: GeneMaskedAutoencoder) -> Callable[[CellBatch], Tensor]:
    """How cells of one panel are embedded on a CPU, where products of dense rows take longer than
    all the rest.
    """
    embedder = EntryEmbedder(network)
    of_panel = cache_by_panel(lambda measured: embedder.of_panel(torch.from_numpy(measured)))

    def embed(batch: CellBatch) -> Tensor:
        entries = Entries(batch.rows, batch.genes, batch.values, batch.context.shape[0])
        return of_panel(batch.measured[0].numpy())(entries)

    return embed


def read_layer(model: GeneReader, adata: AnnData, layer: str | None) -> str | None:
    """Layer of a query that the model reads, where the user asked for ``layer``."""
    return query_layer(adata, layer, model.record.setup.layer, model.record.config.gene_likelihood)


def open_table(
    record: GeneRecord,
    adata: AnnData,
    indices: Any,
    layer: str | None,
    duplicates: str,
    min_coverage: float | None,
    *,
    compare: str | None,
    checked: bool = False,
) -> tuple[CellTable, CoverageReport]:
    """Cells as a model reads them: every value checked, genes aligned, covariates left blank.

    Parameters
    ----------
    record
        Of the model.
    adata
        The cells.
    indices
        Positions of cells, or a boolean mask; all if None.
    layer
        Layer of counts; ``X`` if None.
    duplicates
        What to do with columns of the same gene: ``"error"`` or ``"sum"``.
    min_coverage
        Smallest share of the model's genes that must be measured; see :func:`align_genes`.
    compare
        Column of ``.obs``, which need not exist, of batches that may have measured other genes
        each; see :meth:`Setup.check`.
    checked
        The values are known to be sound, and are not looked at.

    Returns
    -------
    The cells, and how their genes matched.

    Raises
    ------
    CountsError, DuplicateGenesError, GeneCoverageError, SetupError
        The data cannot be used.
    """
    if not checked:
        Setup(layer, record.config.gene_likelihood).check(adata, allow_empty=True, compare=compare)
    source, report = open_source(record, adata, layer, indices, duplicates=duplicates, min_coverage=min_coverage)
    return CellTable(source, record.covariates.blank(source.n_cells)), report


def open_source(
    record: GeneRecord,
    adata: AnnData,
    layer: str | None,
    indices: Any = None,
    *,
    duplicates: str,
    min_coverage: float | None = None,
) -> tuple[CellSource, CoverageReport]:
    """Cells aligned to the genes of a model, by values that were checked before.

    Parameters
    ----------
    record, adata, layer, indices, duplicates, min_coverage
        As in :func:`open_table`.

    Returns
    -------
    The cells, and how their genes matched.
    """
    aligned = align_anndata(record.vocabulary, adata, duplicates=duplicates, min_coverage=min_coverage)
    return open_cells(adata, layer=layer, alignment=aligned, indices=indices), aligned.report
