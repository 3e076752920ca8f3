"""One call for a data set of one's own: R2MAE beside its controls, by several tasks, and a report
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from r2mae_bio._errors import ConfigError
from r2mae_bio._keys import as_names
from r2mae_bio._splits import Split, as_labels, group_splits, stratified_split
from r2mae_bio.cells.read._check import advise, check_counts
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix, in_memory
from r2mae_bio.cells.read._obs import read_column
from r2mae_bio.cells.read._panels import common_columns, read_panels
from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate.methods._denoisers import MeanProfile, NoDenoising
from r2mae_bio.evaluate.methods._linear_controls import FactorAnalysis, PCAZeroFill, ProbabilisticPCA
from r2mae_bio.evaluate.methods._masked_autoencoder import MaskedAutoencoder
from r2mae_bio.evaluate.methods._scvi import SCVI
from r2mae_bio.evaluate.methods._simple_controls import HighlyVariableGenes, MajorityClass, Noise
from r2mae_bio.evaluate.methods._variable_genes import detected_genes, variable_panel
from r2mae_bio.evaluate.report._forms import check_new
from r2mae_bio.evaluate.report._result import ComparisonResult
from r2mae_bio.evaluate.scores._integration_scores import check_design, require_scib_metrics
from r2mae_bio.evaluate.tasks._denoising import denoising
from r2mae_bio.evaluate.tasks._depth_transfer import depth_transfer
from r2mae_bio.evaluate.tasks._integration import integration
from r2mae_bio.evaluate.tasks._panel_transfer import panel_transfer
from r2mae_bio.evaluate.tasks._transfer import known_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.evaluate.methods._embedder import Denoiser, Embedder, FittedEmbedder, SparseCounts

__all__ = ["TASKS", "ComparisonResult", "compare", "default_methods"]

TASKS = ("panels", "depth", "denoising", "integration")
"""What methods are compared by."""


def default_methods(most_components: int | None = None) -> tuple[Embedder, ...]:
    """R2MAE, and the controls without which its numbers mean little.

    Parameters
    ----------
    most_components
        Components that the data allow, one less than the smaller of cells and genes: linear
        controls take no more. No limit if None.

    Returns
    -------
    R2MAE, factor analysis, probabilistic PCA, PCA, variable genes, scVI, the networks that R2MAE
    starts from and that start from random weights, both untrained, the majority class, and noise.
    """
    linear = (FactorAnalysis(), ProbabilisticPCA(), PCAZeroFill())
    if most_components is not None:
        linear = tuple(replace(control, n_components=min(control.n_components, most_components)) for control in linear)  # type: ignore[type-var,assignment]
    return (
        MaskedAutoencoder("R2MAE"),
        *linear,
        HighlyVariableGenes(),
        SCVI(),
        MaskedAutoencoder("untrained encoder", trained=False),
        MaskedAutoencoder("random-init encoder", trained=False, model_kwargs={"start": "random"}),
        MajorityClass(),
        Noise(),
    )


def compare(
    adata: AnnData,
    *,
    labels_key: str,
    batch_key: str | None = None,
    groups_key: str | None = None,
    layer: str | None = None,
    methods: Sequence[Embedder] | None = None,
    panels: Sequence[float] = (1.0, 0.3, 0.1, 0.03),
    n_variable: int | None = 300,
    seeds: Sequence[int] = (0, 1, 2),
    tasks: str | Sequence[str] = TASKS,
    out: str | Path | None = None,
    on_result: Callable[[str], None] | None = None,
) -> ComparisonResult:
    """Compare R2MAE with its controls on cells of one's own, and write a report.

    Each seed splits the cells once, the same for every method: with groups, one group is the query,
    another with each seed, in the order of their names, and cells of classes that the reference
    lacks are left out; without groups, 30% of each class. Methods never see a label. Integration
    fits and scores all cells. Some methods hold matrices of genes by genes or cells by genes:
    choose a few thousand variable genes first.

    Parameters
    ----------
    adata
        Cells with raw counts; genes that only some of them measured (see
        :func:`r2mae_bio.pp.measured_by_batch`) are left out.
    labels_key
        Column of ``.obs`` with the classes, no missing values.
    batch_key
        Column with the batches; needed for integration, and the groups if there is no
        ``groups_key``.
    groups_key
        Column with donors, studies or technologies to hold out.
    layer
        Layer of the counts; ``.X`` if None.
    methods
        Methods with different names, the first of which the others are compared with;
        :func:`default_methods`, with no more components than the cells and genes allow, if None.
    panels
        Shares of the genes that random panels measure.
    n_variable
        Genes of a further panel, the most variable ones of the reference; none if None, or if no
        more genes are detected.
    seeds
        Seeds of splits, panels and methods.
    tasks
        Some of ``"panels"`` (:func:`panel_transfer`), ``"depth"`` (:func:`depth_transfer`),
        ``"denoising"`` (:func:`denoising`) and ``"integration"`` (:func:`integration`), which is
        left out if there is no ``batch_key``.
    out
        Folder to make for the report, see :meth:`ComparisonResult.save`.
    on_result
        Called with one line of text after each result.

    Returns
    -------
    Frames, tables and the report.

    Raises
    ------
    ConfigError
        A task is unknown, names repeat, nothing is asked for, or ``out`` exists.
    SetupError
        A column or layer is missing, or scib-metrics for integration.
    DataError
        Labels are missing, there is one group only, or a group shares no class with the others.
    CountsError
        The matrix does not hold raw counts.
    """
    tasks = as_names(tasks)
    check_unique(methods=default_methods() if methods is None else methods, seeds=seeds, tasks=tasks)
    wanted = _check_request(tasks, out, batch_key)
    data = _Data.read(adata, labels_key, batch_key, groups_key or batch_key, layer)
    if "integration" in wanted and data.batch is not None:
        require_scib_metrics()
        check_design(data.labels, data.batch)
    held = [data.split(seed, turn) for turn, seed in enumerate(seeds)]  # refuses a group that cannot be a query before training
    fewest = min(len(split.reference) for _, split, _ in held)
    n_genes = data.counts.shape[1]  # of cells of several panels, those that all measured
    methods = default_methods(min(fewest, n_genes) - 1) if methods is None else methods
    run = _Run(data, methods, panels, n_variable, on_result)
    for seed, held_out in zip(seeds, held, strict=True):
        run.seed(wanted, seed, *held_out)
    if "integration" in tasks and batch_key is None:
        run.note("Integration was left out: no batch_key was given.")
    settings = {
        "cells": adata.n_obs,
        "genes": n_genes,
        "classes": len(np.unique(data.labels)),
        "labels": labels_key,
        "batches": batch_key,
        "groups": groups_key or batch_key,
        "seeds": list(seeds),
    }
    frames = {task: pd.concat(parts, ignore_index=True) for task, parts in run.parts.items() if parts}
    result = ComparisonResult(frames, methods[0].name, settings, tuple(run.notes))
    if out is not None:
        result.save(out)
    return result


@dataclass(frozen=True, eq=False)
class _Data:
    """What is compared on."""

    counts: sparse.csr_array
    """Raw counts (n_cells, n_genes)."""
    labels: NDArray[np.str_]
    """Class per cell (n_cells,)."""
    batch: NDArray[np.str_] | None
    """Batch per cell (n_cells,)."""
    groups: NDArray[np.str_] | None
    """Group per cell (n_cells,)."""

    @classmethod
    def read(cls, adata: AnnData, labels: str, batch: str | None, groups: str | None, layer: str | None) -> _Data:
        columns = [None if key is None else _column(adata, key) for key in (labels, batch, groups)]
        matrix = get_matrix(adata, layer)
        names: dict[str, Any] = {"obs_names": adata.obs_names, "var_names": adata.var_names}
        check_counts(matrix, where=describe_matrix(layer), **names, panels=read_panels(adata), advice=advise(adata, layer))
        counts = sparse.csr_array(in_memory(matrix, common_columns(adata))).astype(np.float32)
        return cls(counts, *columns)  # type: ignore[arg-type]

    def split(self, seed: int, turn: int) -> tuple[str | None, Split, int]:
        """Held-out group, split, and the number of query cells of unseen classes that are left
        out.
        """
        if self.groups is None:
            return None, stratified_split(self.labels, seed=seed), 0
        splits = group_splits(self.groups)
        group = list(splits)[turn % len(splits)]
        split = splits[group]
        known = known_classes(self.labels, split, group)
        return group, Split(split.reference, split.query[known]), int((~known).sum())


class _Run:
    """Frames and notes of a comparison as they grow."""

    def __init__(
        self,
        data: _Data,
        methods: Sequence[Embedder],
        panels: Sequence[float],
        n_variable: int | None,
        on_result: Callable[[str], None] | None,
    ) -> None:
        self.data, self.methods, self.panels, self.n_variable = data, methods, panels, n_variable
        self.on_result = on_result
        self.parts: dict[str, list[pd.DataFrame]] = {}
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def seed(self, tasks: Sequence[str], seed: int, group: str | None, split: Split, n_unseen: int) -> None:
        """All tasks of one seed."""
        if n_unseen:
            self.note(f"{n_unseen} cells of {group!r} were left out of the query: no cell of another group has their class.")
        once = [_FittedOnce(method) for method in self.methods]  # panels and depth learn from the same cells
        for task in tasks:
            if task == "integration":
                frames = [self._integration(seed)]
            elif task == "denoising":
                frames = self._denoising(split, seed)
            else:
                frames = [self._transfer(task, once, split, seed)]
            known = {} if group is None or task == "integration" else {"group": group}
            self.parts.setdefault(task, []).extend(frame.assign(**known) for frame in frames)

    def _transfer(self, task: str, methods: list[_FittedOnce], split: Split, seed: int) -> pd.DataFrame:
        options: dict[str, Any] = {"split": split, "seeds": (seed,), "on_result": self.on_result}
        if task == "depth":
            return depth_transfer(methods, self.data.counts, self.data.labels, **options)
        reference = self.data.counts[split.reference]
        if self.n_variable is not None and detected_genes(reference).sum() > self.n_variable:
            options["panels"] = {f"{self.n_variable} variable": variable_panel(reference, self.n_variable)}
        return panel_transfer(methods, self.data.counts, self.data.labels, fractions=self.panels, **options)

    def _denoising(self, split: Split, seed: int) -> list[pd.DataFrame]:
        frames = []
        methods: list[Denoiser | Embedder] = [NoDenoising(), MeanProfile(), *self.methods]
        for method in methods:
            try:
                frames.append(denoising([method], self.data.counts, split=split, seeds=(seed,), on_result=self.on_result))
            except ConfigError as error:  # most often a method that only embeds, such as noise
                self.note(f"Denoising is without {method.name!r}: {error}")
        return frames

    def _integration(self, seed: int) -> pd.DataFrame:
        varying = [method for method in self.methods if not isinstance(method, MajorityClass)]
        if len(varying) < len(self.methods):
            self.note("Integration is without the majority class: one point for all cells has no neighbours.")
        options: dict[str, Any] = {"batch": self.data.batch, "seeds": (seed,), "on_result": self.on_result}
        return integration(varying, self.data.counts, self.data.labels, **options)


class _FittedOnce:
    """A method that is fitted for the first table that asks, and handed to the next; made anew for
    other cells.
    """

    def __init__(self, method: Embedder) -> None:
        self.method, self.name = method, method.name
        self._fitted: FittedEmbedder | None = None

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedEmbedder:
        if self._fitted is None:
            self._fitted = self.method.fit(counts, seed=seed)
        return self._fitted


def _check_request(tasks: Sequence[str], out: str | Path | None, batch_key: str | None) -> list[str]:
    """Tasks that can be done; refuse before hours are spent."""
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        message = f"The task {unknown[0]!r} is unknown; choose from {', '.join(TASKS)}."
        raise ConfigError(message)
    if out is not None:
        check_new(out)
    wanted = [task for task in tasks if task != "integration" or batch_key is not None]
    if not wanted:
        message = "Integration is the only task, and it needs batches; pass batch_key."
        raise ConfigError(message)
    return wanted


def _column(adata: AnnData, key: str) -> NDArray[np.str_]:
    return as_labels(read_column(adata.obs, key, where="adata.obs"), f"values of adata.obs[{key!r}]")
