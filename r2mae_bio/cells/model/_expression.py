"""The part of ``GeneMAE`` that predicts expression."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import torch

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._keys import as_names
from r2mae_bio._rng import derive_generator
from r2mae_bio._splits import split_cells
from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.model._dispersion import calibrated_dispersion
from r2mae_bio.cells.model._moments import Predictor, cache_by_panel, total_factors
from r2mae_bio.cells.model._reader import GeneReader, open_table
from r2mae_bio.cells.model._setup import query_layer
from r2mae_bio.cells.read._data import in_files, writable
from r2mae_bio.cells.read._obs import cell_positions, name_text
from r2mae_bio.config._names import answers_misspelt, answers_scvi, check_names
from r2mae_bio.masking import complementary_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.model._moments import Ask

_OPTIONS: Final = ("duplicates", "min_coverage", "hide", "seed", "own_counts", "reference")
"""What is handed on to :meth:`Expression._prepared`."""
_MOST_REFERENCE: Final = 5000
"""Cells of a reference from which totals are learned."""


class Expression(GeneReader):
    """What a gene model expects of every gene of a cell, measured or not."""

    @answers_scvi(
        "adata indices transform_batch gene_list library_size n_samples n_samples_overall weights batch_size return_mean return_numpy "
        "silent dataloader",
        n_samples="expected values are not drawn; get_predictive_moments gives their spread",
        n_samples_overall="expected values are not drawn; get_predictive_moments gives their spread",
        return_mean="expected values are not drawn; get_predictive_moments gives their spread",
        weights="expected values are not drawn; get_predictive_moments gives their spread",
        importance_weighting_kwargs="expected values are not drawn; get_predictive_moments gives their spread",
        silent="there is no progress bar",
        data_loader_kwargs="cells are read batch_size at a time",
        dataloader="pass the cells as adata",
    )
    def get_normalized_expression(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        *,
        gene_list: str | Sequence[str] | None = None,
        library_size: float | Literal["latent"] = 1.0,
        transform_batch: str | Sequence[str] | None = None,
        n_masks: int = 0,
        batch_size: int | None = None,
        return_numpy: bool = False,
        layer: str | None = None,
        **options: Any,
    ) -> pd.DataFrame | NDArray[np.float32]:
        """Expected expression of every gene of the model, whether the data measure it or not.

        Genes are matched by name. What is expected of a cell does not depend on the other cells, on
        their order or on ``batch_size`` (to about 1e-5).

        Parameters
        ----------
        adata
            Cells; the training data if None. It need not have been set up.
        indices
            As in :meth:`get_latent_representation`; all if None.
        gene_list
            Names of genes of the model, in the order wanted; all if None. Memory is taken for these
            alone.
        library_size
            Sum over all genes of the model that every cell is scaled to, or ``"latent"``: counts at
            the depth that the model estimates for the cell. Has no meaning, and must be 1, for
            ``gene_likelihood="normal"``.
        transform_batch
            Decode every cell as if it were of this batch, or the mean over several; as of no batch
            if None. Other covariates are left out in either case.
        n_masks
            If 0, genes are decoded from all measured genes. Otherwise means of
            :meth:`get_predictive_moments`: every measured gene is predicted from other genes, under
            so many masks, and its own count weighed in.
        batch_size
            Cells at a time; 256 if None.
        return_numpy
            Return an array instead of a data frame.
        layer
            Layer of counts, see :meth:`get_latent_representation`.
        options
            ``duplicates`` and ``min_coverage`` as in :meth:`get_latent_representation`; ``hide``,
            ``seed``, ``own_counts`` and ``reference`` as in :meth:`get_predictive_moments`.

        Returns
        -------
        Expected expression, float32 (n_cells, n_genes): a data frame with names of cells and genes,
        or an array.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            A gene or batch is not known to the model, or a setting cannot work.
        CountsError, DuplicateGenesError, GeneCoverageError, SetupError
            The data cannot be used; the message says why and what to do.
        """
        check_names(options, _OPTIONS, what="get_normalized_expression()")
        columns = _columns(self.vocabulary.names, gene_list)
        _check_library_size(library_size, self.config.gene_likelihood)
        settings = {"transform_batch": transform_batch, "n_masks": n_masks, "batch_size": batch_size, "layer": layer, **options}
        size = None if self.config.gene_likelihood == "normal" or library_size == "latent" else float(library_size)
        with self._prepared(adata, indices, **settings) as (ask, table, step):
            mean = np.zeros((table.n_cells, columns.size), np.float32)
            for some, values, _ in _blocks(ask, table, step, None if gene_list is None else columns, library_size=size):
                mean[some] = values
        if return_numpy:
            return mean
        names = (self._training_data() if adata is None else adata).obs_names
        chosen = cell_positions(indices, names)
        genes = pd.Index(self.vocabulary.names)[columns]
        return pd.DataFrame(mean, index=names if chosen is None else names[chosen], columns=genes, copy=False)

    @answers_misspelt
    def get_predictive_moments(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        *,
        gene_list: str | Sequence[str] | None = None,
        n_masks: int = 8,
        hide: float = 0.25,
        own_counts: bool = True,
        seed: int = 0,
        reference: AnnData | None = None,
        transform_batch: str | Sequence[str] | None = None,
        batch_size: int | None = None,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        r"""Mean and standard deviation of what is predicted of every gene, at the depth of the
        cell.

        Masks come in sets (:func:`r2mae_bio.masking.complementary_masks`), so that every measured
        gene is hidden equally often, and all cells share them. A measured gene is predicted from
        the masks that hide it. With means m and variances v of the likelihood under the single
        masks, the prediction has mean E[m] and variance E[v] + Var[m], over masks. A gene that is
        not measured is predicted from all measured genes, with mean m and variance v, to which
        Var[m] over all masks is added.

        With ``own_counts`` the prediction of a measured gene is then conditioned on its count x, as
        in SAVER (Huang et al. 2018, Nat. Methods 15, 539-542): the rate behind x is taken to be
        gamma distributed with the mean m and the variance v - m that the prediction leaves to it,
        so given x it has mean m' = m (t + x) / (t + m) with t = m² / (v - m), and a repeated
        measurement has variance m' + m'² / (t + x).

        Parameters
        ----------
        adata, indices, gene_list, transform_batch, batch_size, layer, duplicates, min_coverage
            As in :meth:`get_normalized_expression`.
        n_masks
            Number of masks, made up to whole sets; if 0, one prediction with nothing hidden, and
            ``own_counts`` counts for nothing.
        hide
            Share of the measured genes that a mask hides, at most 0.5; the nearest 1 / k.
        own_counts
            If True, describe a second measurement of the cell, given the first. If False, describe
            the first, each gene given the others alone: what the counts at hand may be compared
            with. Of no consequence for genes that are not measured, or
            ``gene_likelihood="normal"``.
        seed
            Seed of the masks.
        reference
            Cells in which genes that ``adata`` lacks were measured, such as the training cells, for
            totals that are right: up to 5,000 of them are predicted from the genes of ``adata``,
            and each gene that it lacks is multiplied by the ratio of its known to its predicted
            total. Of few counts, the ratio is drawn towards 1. The results then depend on these
            cells, though never on other cells of ``adata``. Not for ``gene_likelihood="normal"``.

        Returns
        -------
        Mean and standard deviation, float32 (n_cells, n_genes) each; counts, or log-normalised
        values.

        Raises
        ------
        NotTrainedError, ConfigError, CountsError, DuplicateGenesError, GeneCoverageError,
        SetupError
            As for :meth:`get_normalized_expression`.
        DataError
            ``reference`` lacks genes that ``adata`` has.
        """
        columns = _columns(self.vocabulary.names, gene_list)
        masks: dict[str, Any] = {"n_masks": n_masks, "hide": hide, "own_counts": own_counts, "seed": seed}
        reading: dict[str, Any] = {"batch_size": batch_size, "layer": layer, "duplicates": duplicates}
        reading |= {"transform_batch": transform_batch, "min_coverage": min_coverage, "reference": reference}
        with self._prepared(adata, indices, **masks, **reading) as (ask, table, step):
            mean, sd = (np.zeros((table.n_cells, columns.size), np.float32) for _ in range(2))
            for some, *values in _blocks(ask, table, step, None if gene_list is None else columns):
                mean[some], sd[some] = values
        return mean, sd

    def iter_predictive_moments(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        *,
        gene_list: str | Sequence[str] | None = None,
        **options: Any,
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
        """The same as :meth:`get_predictive_moments`, ``batch_size`` cells at a time, for what does
        not fit into memory.

        Parameters
        ----------
        adata, indices, gene_list
            As in :meth:`get_normalized_expression`.
        options
            Further arguments of :meth:`get_predictive_moments`.

        Yields
        ------
        Which of the cells these are, counted from the first, and their means and standard
        deviations, float32 (n_some, n_genes) each.

        Raises
        ------
        NotTrainedError, ConfigError, CountsError, DataError, DuplicateGenesError,
        GeneCoverageError, SetupError
            As for :meth:`get_predictive_moments`, before anything is yielded.
        """
        known = (*_OPTIONS, "n_masks", "transform_batch", "batch_size", "layer")
        check_names(options, known, what="iter_predictive_moments()")
        columns = None if gene_list is None else _columns(self.vocabulary.names, gene_list)
        with self._prepared(adata, indices, **{"n_masks": 8, **options}) as prepared:
            yield from _blocks(*prepared, columns)

    @answers_misspelt
    def calibrate_dispersion(
        self,
        adata: AnnData | None = None,
        indices: Any = None,
        *,
        n_masks: int = 4,
        hide: float = 0.25,
        max_cells: int = 2000,
        seed: int = 0,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> None:
        """Fit the dispersion of every gene to cells that were not trained on, which makes standard
        deviations and intervals sharper.

        Training fits means and dispersions to the cells trained on. Here the means stay as they
        are, and so do embeddings: each dispersion is replaced by the one under which the genes that
        masks hide are most probable, drawn towards what suits all genes where a gene has few
        counts. It is part of the weights, and saved with them. Without effect for
        ``gene_likelihood="poisson"``, which has none.

        Parameters
        ----------
        adata
            Cells whose counts are to be predicted well; never those that coverage is then judged
            by. If None, the validation cells of the training run, or all training cells if none
            were kept.
        indices
            As in :meth:`get_latent_representation`.
        n_masks, hide
            As in :meth:`get_predictive_moments`.
        max_cells
            A random sample of so many cells is used if there are more.
        seed
            Seed of masks and sample.
        layer, duplicates, min_coverage
            As in :meth:`get_latent_representation`; genes that are not measured keep the change
            that suits all genes.

        Raises
        ------
        NotTrainedError, ConfigError, CountsError, DuplicateGenesError, GeneCoverageError,
        SetupError
            As for :meth:`get_normalized_expression`.
        """
        network = self._network().eval()
        if n_masks < 1 or max_cells < 1:
            message = (
                f"n_masks is {n_masks} and max_cells {max_cells}; both must be positive, for nothing is learnt from nothing."
            )
            raise ConfigError(message)
        if adata is None and indices is None:
            indices = self._held_out()
        with self._cells(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage) as table:
            order = derive_generator(seed, "calibration").permutation(table.n_cells)
            some = table.panel_batches(device=self.device, cells=np.sort(order[:max_cells]))
            masks = cache_by_panel(lambda measured: self._hidden(measured, n_masks, hide, seed))
            batches = ((batch, masks(batch.measured[0].cpu().numpy())) for _, batch in some)
            fitted = calibrated_dispersion(network, self.config.gene_likelihood, batches)
        if fitted is not None and network.decoder.dispersion is not None:
            with torch.no_grad():
                network.decoder.dispersion.copy_(fitted)

    def _held_out(self) -> NDArray[np.int64]:
        """Positions of the validation cells, or of all training cells if there are none."""
        n_cells = self._training_data().n_obs
        train, validation = split_cells(n_cells, self.record.train.get("train_size", 1.0), self.record.seed)
        return validation if validation.size else np.sort(train)

    @contextmanager
    def _prepared(
        self,
        adata: AnnData | None,
        indices: Any,
        *,
        batch_size: int | None = None,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
        **options: Any,
    ) -> Iterator[tuple[Ask, CellTable, int]]:
        """How the network is asked about cells of a panel, the cells, and how many at a time;
        ``options`` go to :meth:`_asked`.
        """
        self._network()
        step, contexts = cells_at_a_time(batch_size), self._contexts(options.pop("transform_batch", None))
        with self._cells(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage) as table:
            yield self._asked(contexts, layer=layer, **options), table, step

    def _open_moments(
        self,
        adata: AnnData,
        *,
        gene_list: Sequence[str],
        batch_size: int | None,
        layer: str | None,
        duplicates: str,
        min_coverage: float | None,
        checked: bool = False,
        **options: Any,
    ) -> Callable[[int, int], Iterator[NDArray[np.float32]]]:
        """What predicts genes of the cells from one position to another, ``batch_size`` of them at
        a time: means and behind them standard deviations, (n_some, 2 * n_genes).
        """
        self._network()
        columns, step = _columns(self.vocabulary.names, gene_list), cells_at_a_time(batch_size)
        reading: dict[str, Any] = {"layer": layer, "duplicates": duplicates, "min_coverage": min_coverage}
        table = self._open(adata, checked=checked, **reading)
        ask = self._asked(self._contexts(None), layer=layer, checked=checked, **options)

        def blocks(first: int, last: int) -> Iterator[NDArray[np.float32]]:
            for _, *moments in _blocks(ask, table, step, columns, span=(first, last)):
                yield np.concatenate(moments, axis=1)

        return blocks

    def _asked(
        self,
        contexts: Tensor,
        *,
        n_masks: int,
        hide: float = 0.25,
        own_counts: bool = True,
        seed: int = 0,
        reference: AnnData | None = None,
        layer: str | None = None,
        checked: bool = False,
    ) -> Ask:
        """How the network is asked about cells of a panel."""
        network, likelihood = self._network().eval(), self.config.gene_likelihood
        weighed = own_counts and n_masks > 0 and likelihood != "normal"
        cells = None if reference is None else self._reference(reference, layer, checked=checked)
        some = np.zeros(0, np.int64) if cells is None else _some_of(cells.n_cells, seed)

        def ask(measured: NDArray[np.bool_]) -> Predictor:
            predictor = Predictor(network, likelihood, self._hidden(measured, n_masks, hide, seed), contexts, weighed)
            if cells is None:
                return predictor
            _check_reference(likelihood, cells.source.measured, measured)
            panel = torch.from_numpy(measured).to(self.device)
            return replace(predictor, factors=total_factors(predictor, cells, some, panel))

        return cache_by_panel(ask)

    def _reference(self, reference: AnnData, layer: str | None, *, checked: bool) -> CellTable:
        """Cells of which more genes are known, read as the training data are; nothing is written
        to them.
        """
        record = self.record
        layer = query_layer(reference, layer, record.setup.layer, record.config.gene_likelihood)
        how: dict[str, Any] = {"compare": record.setup.batch_key, "checked": checked}
        return open_table(record, reference, None, layer, record.duplicates, None, **how)[0]

    def some_of_reference(self, reference: AnnData, seed: int) -> AnnData:
        """The cells of a reference that totals are learned from, where it is in memory and larger:
        the same ones again if asked of these.
        """
        if in_files(reference) or reference.n_obs <= _MOST_REFERENCE:
            return reference
        return writable(reference[_some_of(reference.n_obs, seed)], copy=True)

    def _hidden(self, measured: NDArray[np.bool_], n_masks: int, hide: float, seed: int) -> Tensor:
        """Masks (M, G) of cells of one panel (G,); a single one that hides nothing if there are to
        be none.
        """
        if n_masks == 0:
            return torch.zeros((1, measured.size), dtype=torch.bool, device=self.device)
        masks = complementary_masks(measured, n_masks, hide=hide, generator=derive_generator(seed, "impute"))
        return torch.from_numpy(masks).to(self.device)

    def _contexts(self, transform_batch: str | Sequence[str] | None) -> Tensor:
        """Covariates to decode with, float32 (K, C)."""
        covariates, key = self.record.covariates, self.record.setup.batch_key
        if transform_batch is None:
            return torch.from_numpy(covariates.blank(1)).to(self.device)
        known = () if key is None else covariates.categories[key]
        wanted = [name_text(name) for name in np.atleast_1d(np.asarray(transform_batch, dtype=object))]
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            has = f"the batches {list(known)}" if known else "no batches: setup_anndata was not given a batch_key"
            message = f"transform_batch is {transform_batch!r}; the model knows {has}. Pass one or several of these, or None."
            raise ConfigError(message)
        rows = covariates.blank(len(wanted))  # the batch's columns come first
        rows[np.arange(len(wanted)), [known.index(name) for name in wanted]] = 1
        return torch.from_numpy(rows).to(self.device)


def _blocks(
    ask: Ask,
    table: CellTable,
    step: int,
    columns: NDArray[np.int64] | None = None,
    *,
    library_size: float | None = None,
    span: tuple[int, int] | None = None,
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
    """Means and standard deviations of some genes, all if None, one block of cells after another,
    of all cells or of a span of them; scaled so that means of all genes sum to ``library_size``,
    unless it is None.
    """
    n_genes = table.source.n_genes if columns is None else columns.size
    first, last = span or (0, table.n_cells)
    for start in range(first, last, step):
        cells = np.arange(start, min(start + step, last))
        mean, sd = (np.zeros((cells.size, n_genes), np.float32) for _ in range(2))
        for some, *values in _by_panel(ask, table, cells, columns, library_size):
            mean[some], sd[some] = values
        yield slice(start, start + cells.size), mean, sd


def _by_panel(
    ask: Ask, table: CellTable, cells: NDArray[np.int64], columns: NDArray[np.int64] | None, library_size: float | None
) -> Iterator[tuple[slice | NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]]:
    """The same of some cells, those of each panel at a time."""
    for some, batch in table.panel_batches(cells.size, cells=cells):
        predictor = ask(batch.measured[0].numpy())
        device = predictor.masks.device
        moments = [part.float() for part in predictor.moments(batch.to(device).tokens())]
        chosen = slice(None) if columns is None else torch.from_numpy(columns).to(device)
        mean, variance = (part[:, chosen].cpu().numpy() for part in moments)
        sd = np.sqrt(variance)
        if library_size is not None:
            scale = library_size / moments[0].cpu().numpy().sum(1, keepdims=True, dtype=np.float64)
            mean, sd = ((part * scale).astype(np.float32) for part in (mean, sd))
        yield some, mean, sd


def _some_of(n_cells: int, seed: int) -> NDArray[np.int64]:
    """Positions, in order, of the cells from which totals are learned."""
    return np.sort(derive_generator(seed, "reference").permutation(n_cells)[:_MOST_REFERENCE])


def _columns(names: tuple[str, ...], gene_list: str | Sequence[str] | None) -> NDArray[np.int64]:
    if gene_list is None:
        return np.arange(len(names))
    gene_list = as_names(gene_list)
    place = {name: i for i, name in enumerate(names)}
    unknown = [name for name in gene_list if name not in place]
    if unknown:
        message = f"{len(unknown)} of the genes asked for are not known to the model, such as {unknown[:5]}; its genes are {list(names[:5])} and so on."
        raise ConfigError(message)
    return np.array([place[name] for name in gene_list], np.int64)


def _check_library_size(library_size: float | str, likelihood: str) -> None:
    if likelihood == "normal":
        if library_size != 1:
            message = (
                f"library_size is {library_size!r}, but a model with gene_likelihood='normal' predicts log-normalised values, which have none; "
                "leave it at 1, or train a model of counts ('nb', 'zinb' or 'poisson')."
            )
            raise ConfigError(message)
    elif library_size != "latent" and not (isinstance(library_size, (int, float, np.number)) and 0 < library_size < np.inf):
        message = f"library_size is {library_size!r}; needed is a positive number of counts per cell, or 'latent'."
        raise ConfigError(message)


def _check_reference(likelihood: str, known: NDArray[np.bool_], panel: NDArray[np.bool_]) -> None:
    if likelihood == "normal":
        message = "reference corrects totals of counts, but a model with gene_likelihood='normal' predicts log-normalised values; leave it at None."
        raise ConfigError(message)
    lacking = int((panel & ~known).sum())
    if lacking:
        message = (
            f"reference lacks {lacking} of the {int(panel.sum())} genes that adata shares with the model; needed are all of them, "
            "and others besides. Pass the cells that the model was trained on, or a set of the same genes."
        )
        raise DataError(message)
