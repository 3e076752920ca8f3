"""Models by name or folder, of whatever class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio import models
from r2mae_bio._errors import CheckpointError, DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_bundled_model_embeds_and_moves_labels_as_it_is() -> None:
    """Cells of blood that it has not seen: half of them lend the other half their labels."""
    cells = rb.datasets.pbmc68k()
    model = models.load("blood-small")
    reference, query = cells[::2].copy(), cells[1::2, ::2].copy()
    rb.tl.embed(query, model)
    assert query.obsm["X_r2mae"].shape == (350, 64)
    rb.tl.transfer_labels(query, reference, labels_key="bulk_labels", model=model)
    right = query.obs["r2mae_label"].astype(str) == query.obs["bulk_labels"].astype(str)
    assert right.mean() > 2 * query.obs["bulk_labels"].value_counts(normalize=True).max()


def test_every_class_is_opened_by_its_folder(tmp_path: Path, gene_model: Any, dna_model: Any, cells: Any) -> None:
    labelled = cells.copy()
    classifier = gene_model.finetune(labelled, labels_key="group", freeze_encoder=True, progress_bar=False)
    for model in (gene_model, dna_model, classifier):
        folder = model.save(tmp_path / type(model).__name__)
        opened = models.load(str(folder))
        assert type(opened) is type(model)
        assert opened.describe().items() <= model.describe().items()  # which also knows of the last data


def test_a_folder_wins_over_a_name(tmp_path: Path, gene_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gene_model.save("blood-small")
    opened: Any = models.load("blood-small")
    assert opened.checksum() == gene_model.checksum()


def test_matrices_in_half_precision_take_half_the_room_and_embed_alike(tmp_path: Path, gene_model: Any, cells: Any) -> None:
    whole, half = gene_model.save(tmp_path / "whole"), gene_model.save(tmp_path / "half", half_precision=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.75 * sizes[0]  # names and vectors weigh in a small model
    opened: Any = models.load(half)
    assert {str(weights.dtype) for weights in opened.network.parameters()} == {"torch.float32"}
    found, wanted = (model.get_latent_representation(cells) for model in (opened, gene_model))
    assert np.abs(found - wanted).max() < 0.01 * wanted.std()
    assert (found != wanted).any()


def test_neither_folder_nor_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent does not exist; needed is a folder written by save.*blood-small"):
        models.load("absent")
    with pytest.raises(CheckpointError, match=r"model\.json is missing"):
        models.load(tmp_path)
