"""``tl.impute``: expected expression and its uncertainty into layers, data frames or a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio._keys import KEYS
from r2mae_bio._progress import count_steps
from r2mae_bio._runs._blocks import check_client
from r2mae_bio.cells._opened import files_of, matrix_of, opened, opened_or_none
from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.model._batch_correction import fingerprint
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.model._reader import read_layer
from r2mae_bio.cells.read._data import in_files, make_actual, writable
from r2mae_bio.cells.read._uns import add_entry, all_or_nothing, check_file_key, write_record
from r2mae_bio.cells.stored._computed import ModelWork, Span, compute, digest, kept_rows
from r2mae_bio.cells.stored._imputed import dense_layers, frames, open_store, sparse_layers, wanted_genes
from r2mae_bio.cells.stored._out import check_out
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData
    from distributed import Client

    from r2mae_bio.cells.stored._imputed import Block, Part, Wanted


@answers_misspelt
def impute(
    adata: AnnData | str | Path | Sequence[str | Path],
    model: GeneMAE | str | Path,
    *,
    genes: str | Sequence[str] | None = None,
    n_masks: int = 8,
    hide: float = 0.25,
    own_counts: bool = True,
    unmeasured: bool = False,
    reference: AnnData | str | Path | Sequence[str | Path] | None = None,
    threshold: float | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    client: Client | None = None,
    key_added: str = "r2mae",
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    copy: bool = False,
    progress_bar: bool = True,
) -> AnnData | None:
    """Denoise counts and fill in genes, with a standard deviation that says how far to trust each
    number.

    Each measured gene is hidden in an equal number of random masks and predicted from other genes;
    a gene that was not measured is predicted from all that were. The standard deviation holds the
    noise of counting, what the model leaves open, and the spread over masks, see
    :meth:`r2mae_bio.model.GeneMAE.get_predictive_moments`. A cell's result does not depend on the
    other cells, on their order or on ``batch_size`` (to about 1e-5).

    Cells are predicted ``batch_size`` at a time, each block written where it belongs: beside
    what is written, memory is taken for one block. For the genes that a figure or a test needs,
    pass ``genes``; for all genes of many cells, pass ``out``. Of cells in files, results first grow
    in a journal beside ``out``, from which a killed run goes on, see :func:`embed`.

    Parameters
    ----------
    adata
        Cells; genes are matched by name, and genes of the model that are missing count as hidden,
        not as zero, also those that a batch lacks, see :func:`r2mae_bio.pp.measured_by_batch`. Of a
        :class:`r2mae_bio.io.CellStore`, or paths of files, with ``out``; of a store also with
        ``genes``.
    model
        A model, or the folder of a saved one.
    genes
        Names of genes of the model, or one as text, whether measured or not; the columns of
        ``adata`` if None. Genes that are named go to ``.obsm``, as many columns as genes.
    n_masks
        Number of masks, made up to whole sets of 1 / ``hide``.
    hide
        Share of the measured genes that a mask hides, at most 0.5.
    own_counts
        If True, the prediction of a measured gene is weighed against its own count: the best guess
        of what a second measurement of the cell would give. If False it is left as predicted from
        the other genes, which is what the counts at hand may be compared with: in search of
        outliers, or by :func:`r2mae_bio.evaluate.interval_coverage`.
    unmeasured
        Also write the genes of the model that have no column in ``adata``.
    reference
        Cells in which genes that ``adata`` lacks were measured, such as those that the model was
        trained on: they correct the totals of these genes, see
        :meth:`r2mae_bio.model.GeneMAE.get_predictive_moments`.
    threshold
        Write sparse layers (CSR) that leave out what is expected to have less than so many counts.
        What is left out reads as 0, and so do columns that are no gene of the model, so that
        totals are too low by the share that is recorded as ``share_below_threshold``. Dense layers
        with nothing left out if None.
    out
        Name of a new ``.zarr`` folder or ``.h5ad`` file to write to, block by block, instead of to
        ``adata``: one column for each column of ``adata`` that is a gene of the model, then those
        that ``unmeasured`` adds, or those of ``genes``. It appears once it is complete.
    overwrite
        Replace an ``out`` that exists; files that are read from are never replaced.
    client
        For cells in files, with ``out``: a ``dask.distributed.Client``, whose workers predict
        blocks of cells, see :func:`embed`.
    key_added
        Beginning of the names that are written.
    layer
        Layer of raw counts, also of ``reference``; see
        :meth:`GeneMAE.get_latent_representation`.
    seed
        Seed of the masks.
    batch_size
        Cells at a time.
    duplicates
        ``"error"`` or ``"sum"`` for columns of the same gene, each of which is then given the
        prediction of their sum.
    min_coverage
        Smallest share of the model's genes that must be measured.
    copy
        Leave ``adata`` as it is and return a changed copy.
    progress_bar
        Show progress on standard error.

    Returns
    -------
    None, or the copy. Written are ``.layers[f"{key_added}_mean"]`` and
    ``.layers[f"{key_added}_sd"]`` (float32, dense), counts at the depth of the cell, NaN for
    columns that are no gene of the model; with ``unmeasured`` the data frames
    ``.obsm[f"{key_added}_unmeasured_mean"]`` and ``.obsm[f"{key_added}_unmeasured_sd"]`` (float32,
    one column per gene); with ``genes`` instead of these ``.obsm[f"{key_added}_mean"]`` and
    ``.obsm[f"{key_added}_sd"]`` (float32 data frames, (n_cells, n_chosen)); and
    ``.uns["r2mae"]["impute"][key_added]`` (dict of str, int, float: masks, settings, model) and
    ``.uns["r2mae"]["coverage"]``. With ``out``, ``.X`` (means), ``.layers["sd"]`` and the
    same record are written to a file that :func:`anndata.read_zarr` or
    :func:`anndata.read_h5ad` reads, and only ``.uns["r2mae"]["coverage"]`` to ``adata``.

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError
        A setting cannot work, or ``out`` exists or is read from.
    JournalError
        Another run with other settings was begun, or is writing.
    CountsError, DataError, GeneIdentityError, SetupError
        The data cannot be used. Then, and when the call is interrupted, ``adata`` is as it was
        before and there is no new ``out``.
    """
    check_file_key(key_added)
    path = None if out is None else Path(out).expanduser()
    _check(n_masks, genes, path, unmeasured=unmeasured, threshold=threshold, copy=copy)
    model = open_model(model, GeneMAE, what="model of cells")
    names: dict[str, Any] = {"duplicates": duplicates, "min_coverage": min_coverage}
    with (
        opened(adata, layer=layer, obs=[model.record.setup.batch_key], **names) as cells,
        opened_or_none(reference, layer=layer, obs=[model.record.setup.batch_key], **names) as known,
    ):
        _check_kind(cells, genes, path, client)
        if path is not None:
            check_out(path, overwrite=overwrite, read=files_of(cells, known))
        cells = writable(cells, copy=True) if copy else cells
        wanted = wanted_genes(model.vocabulary, cells, genes, unmeasured=unmeasured)
        masks: dict[str, Any] = {"n_masks": n_masks, "hide": hide, "own_counts": own_counts, "seed": seed}
        reading = {"layer": layer, "batch_size": batch_size, **names}
        record = {**masks, "reference": reference is not None, **_provenance(model, layer)}
        imputing = _Imputing(model, cells, wanted, masks, reading, known, (key_added, record), progress_bar)
        if path is not None:
            imputing.to_file(path, client, overwrite=overwrite)
        else:
            imputing.to_adata(threshold, layers=genes is None, others=unmeasured or genes is not None)
    return cells if copy else None


@dataclass(frozen=True, eq=False)
class _Imputing:
    """What is predicted of which cells."""

    model: GeneMAE
    cells: AnnData
    wanted: Wanted
    masks: dict[str, Any]
    reading: dict[str, Any]
    reference: AnnData | None
    record: tuple[str, dict[str, Any]]
    """Key and content of the entry of ``.uns``."""
    progress_bar: bool

    def blocks(self, advance: Callable[[int], None]) -> Iterator[Block]:
        """Blocks of cells, counted once what was asked for is done with them."""
        options = {"gene_list": self.wanted.names, "reference": self.reference, **self.masks, **self.reading}
        for block in self.model.iter_predictive_moments(self.cells, **options):
            yield block
            advance(block[0].stop - block[0].start)

    def to_file(self, path: Path, client: Any, *, overwrite: bool) -> None:
        """Write a new file."""
        columns = [*map(str, self.cells.var_names[self.wanted.columns]), *self.wanted.others]
        rows = cells_at_a_time(self.reading["batch_size"])
        opening = partial(open_store, path, self.cells.obs_names, columns, self.record, rows=rows, overwrite=overwrite)
        if not in_files(self.cells):
            with count_steps("cells", self.cells.n_obs, shown=self.progress_bar) as advance, opening() as store:
                store.fill(self.blocks(advance))
            return
        few = None if self.reference is None else self.model.some_of_reference(self.reference, self.masks["seed"])
        settings = {"gene_list": self.wanted.names, "reference": few, **self.masks, **self.reading}
        work = ModelWork(self.model, "_open_moments", self.cells, settings, 2 * len(columns), rows)
        layers = [None if data is None else read_layer(self.model, data, self.reading["layer"]) for data in (self.cells, few)]
        known = None if few is None else fingerprint(few, layers[1])
        run = {**self.record[1], **self.masks, **self.reading, "columns": columns, "genes": self.wanted.names, "reference": known}
        matrix = matrix_of(self.cells, layers[0])
        span = Span(0, self.cells.n_obs, path, digest(run, self.cells, matrix))
        compute(work, [span], client, title="imputing", shown=None if self.progress_bar else False)
        with kept_rows([span], work.width) as (found,), opening() as store:
            n = len(columns)
            store.fill((some, values[:, :n], values[:, n:]) for some, values in found.blocks(rows))
        if self.model.coverage is not None:
            write_record(self.cells, KEYS.coverage, self.model.coverage.to_uns())

    def to_adata(self, threshold: float | None, *, layers: bool, others: bool) -> None:
        """Write layers and data frames: all or nothing."""
        adata, wanted, (key, record) = self.cells, self.wanted, self.record
        keys = [f"{key}{suffix}_{name}" for suffix in ("", wanted.suffix) for name in ("mean", "sd")]
        with all_or_nothing(adata, layers=keys, obsm=keys), count_steps("cells", adata.n_obs, shown=self.progress_bar) as advance:
            parts = _parts(adata, wanted, threshold, layers=layers, others=others)
            for some, mean, sd in self.blocks(advance):
                for columns_of_part, part in parts:
                    part.add(some, mean[:, columns_of_part], sd[:, columns_of_part])
            make_actual(adata)
            for _, part in parts:
                record |= part.write(adata, key)
            add_entry(adata, KEYS.impute, key, record)
            if self.model.coverage is not None:
                write_record(adata, KEYS.coverage, self.model.coverage.to_uns())


def _check_kind(cells: Any, genes: Any, path: Path | None, client: Any) -> None:
    """Refuse what is for cells in files, or not for them."""
    check_client(client)
    if in_files(cells) and path is None and genes is None:
        message = (
            "adata keeps its cells in files, and layers of all genes would be in memory; pass out= to write a file, or genes=."
        )
        raise ConfigError(message)
    if client is not None and (path is None or not in_files(cells)):
        message = "client is for cells in files (a CellStore, or paths) and a new file out=; pass both, or leave client away."
        raise ConfigError(message)


def _check(
    n_masks: int,
    genes: str | Sequence[str] | None,
    path: Path | None,
    *,
    unmeasured: bool,
    threshold: float | None,
    copy: bool,
) -> None:
    """Refuse settings that cannot work, before anything is read."""
    if n_masks < 1:
        message = f"n_masks is {n_masks}; needed is a positive number: without a mask no measured gene is predicted."
        raise ConfigError(message)
    if genes is not None and (unmeasured or threshold is not None):
        message = "genes names all that is written, as dense columns of .obsm; leave unmeasured and threshold as they are, or genes at None."
        raise ConfigError(message)
    if threshold is not None and not 0 < threshold < np.inf:
        message = f"threshold is {threshold}; needed is a positive number of expected counts, or None for dense layers."
        raise ConfigError(message)
    if path is not None and (copy or threshold is not None):
        message = "out takes the place of what is written to adata, as a dense array; leave copy and threshold as they are, or out at None."
        raise ConfigError(message)


def _parts(adata: AnnData, wanted: Wanted, threshold: float | None, *, layers: bool, others: bool) -> list[tuple[slice, Part]]:
    """Where the columns of a block go: into layers, and into data frames."""
    n, parts = wanted.columns.size, []
    if layers and threshold is None:
        parts.append((slice(0, n), dense_layers(adata.n_obs, adata.n_vars, wanted.columns)))
    elif layers and threshold is not None:
        parts.append((slice(0, n), sparse_layers(adata.n_vars, wanted.columns, threshold)))
    if others:
        parts.append((slice(n, None), frames(pd.Index(adata.obs_names), wanted.others, wanted.suffix)))
    return parts


def _provenance(model: GeneMAE, layer: str | None) -> dict[str, Any]:
    """What h5ad can hold of where the layers come from."""
    return {
        "model": "GeneMAE",
        "layer": "" if layer is None else layer,
        "gene_likelihood": model.config.gene_likelihood,
        "vocabulary": model.vocabulary.fingerprint(),
        "checksum": model.checksum(),
        **{f"version_{key}": value for key, value in model.versions().items()},
    }
