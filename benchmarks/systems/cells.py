"""Cells: ``GeneMAE`` with its transformer and its MLP, and ``R2SCVI`` beside scVI."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gene_sets import SETS
from benchmarks.gene_sets import load as load_set
from benchmarks.r2scvi import R2SCVI
from benchmarks.ratio_laws import Ready, held_out_nats, thinned
from benchmarks.systems.laws import RATIOS
from benchmarks.systems.probes import KINDS
from benchmarks.systems.system import Inputs, Loaded, MissingDataError, Network
from r2mae_bio import evaluate

if TYPE_CHECKING:
    from argparse import Namespace

    from benchmarks.gene_sets import GeneSet
    from r2mae_bio.masking import RatioLaw

HOW = """{file} is missing. Needed is a labelled set of cells (h5ad, raw counts, obs["{label}"]), as sc/{name} in the folder
that R2MAE_BIO_DATA or --data names."""


def load(seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
    """One set, three networks."""
    source = SETS[settings["set"]]
    file = options.data / "sc" / f"{source.file}.h5ad"
    if not file.is_file():
        raise MissingDataError(HOW.format(file=file, label=source.label, name=file.name))
    cells = thinned(load_set(settings["set"], seed, n_genes=settings["n_genes"], data=options.data), seed, settings["cells"])
    reference = cells.counts[cells.split.reference]
    networks = {
        name: Network(partial(_gene_mae, cells, seed, settings, options, encoder), "genes")
        for name, encoder in (("GeneMAE transformer", "transformer"), ("GeneMAE MLP", "mlp"))
    }
    run = partial(_scvi, cells, seed, settings)
    networks["R2SCVI"] = Network(run, "genes", scopes=("batch", "row"), moves=False, unmasked=True)
    values = evaluate.log_normalize(reference, np.ones(reference.shape[1], bool)).toarray().astype(np.float64)
    varies = values[:, values.std(0) > 0]
    about = {"set": settings["set"], "cells": reference.shape[0], "genes": reference.shape[1], "steps": settings["steps"]}
    about |= {"batch": settings["batch"], "epochs of scVI": settings["epochs"]}
    return Loaded(networks, {"genes": Inputs(varies, reference.shape[0])}, about)


def _gene_mae(
    cells: GeneSet, seed: int, settings: dict[str, Any], options: Namespace, encoder: str, law: RatioLaw
) -> dict[str, float]:
    reference = cells.counts[cells.split.reference]
    per_epoch = -(-reference.shape[0] // settings["batch"])
    training = {
        "max_epochs": -(-settings["steps"] // per_epoch),
        "batch_size": settings["batch"],
        "train_size": 1.0,
        "devices": 1,
    }
    training["accelerator"] = "gpu" if options.device == "cuda" else "cpu"
    method = evaluate.MaskedAutoencoder(
        encoder, law, model_kwargs={"encoder": encoder, **settings["sizes"]}, train_kwargs=training
    )
    fitted = method.fit(reference, seed=seed)
    nats = held_out_nats(fitted.model, cells.counts[cells.split.query], seed=seed, shares=RATIOS)
    return {f"nats {share}": value for share, value in nats.items()} | _panels(cells, fitted, seed)


def _scvi(cells: GeneSet, seed: int, settings: dict[str, Any], law: RatioLaw | None) -> dict[str, float]:
    epochs = settings["epochs"]
    method = evaluate.SCVI(max_epochs=epochs) if law is None else R2SCVI("R2SCVI", law, max_epochs=epochs)
    return _panels(cells, method.fit(cells.counts[cells.split.reference], seed=seed), seed)


def _panels(cells: GeneSet, fitted: Any, seed: int) -> dict[str, float]:
    """Macro-F1 of query cells, with all genes and with random panels."""
    table = evaluate.panel_transfer(
        [Ready("ready", fitted)], cells.counts, cells.labels, split=cells.split, seeds=(seed,), on_result=None
    )
    rows = zip(table["panel"], table["probe"], table["macro_f1"], strict=True)
    return {f"{panel} of genes, {KINDS[probe]}": float(value) for panel, probe, value in rows}
