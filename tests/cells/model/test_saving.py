"""A gene model on disk: its kind, its checksum, its checkpoints."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio._errors import CheckpointError
from r2mae_bio.model import GeneMAE

from ...core.toy_model import Line


def test_one_class_does_not_read_the_files_of_another(model, tmp_path):
    gene, line = model.save(tmp_path / "gene"), Line().initialize().save(tmp_path / "line")
    with pytest.raises(CheckpointError, match=r"holds a GeneMAE, and Line\.load .* load it with r2mae_bio\.model\.GeneMAE\.load"):
        Line.load(gene)
    with pytest.raises(CheckpointError, match=r"holds a Line, and GeneMAE\.load .* load it with r2mae_bio\.model\.Line\.load"):
        GeneMAE.load(line)
    assert GeneMAE.load(gene).checksum() == model.checksum()


def test_a_swap_of_names_or_values_changes_the_checksum(model):
    network, before = model.network, model.checksum()
    weight = next(p for p in network.parameters() if p.dim() == 2 and p.shape[0] > 1)
    with torch.no_grad():
        kept = weight.clone()
        weight.copy_(weight.flip(0))
        assert model.checksum() != before
        weight.copy_(kept)
    assert model.checksum() == before


def test_a_checkpoint_of_a_run_tells_how_far_it_came(adata, sizes, tmp_path):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.train(max_epochs=3, batch_size=16, progress_bar=False, checkpoint_dir=tmp_path)
    first, last = (GeneMAE.load(folder) for folder in sorted(tmp_path.glob("step_*")))
    assert (len(first.history), len(last.history)) == (2, 3)
    assert last.history.equals(model.history)
    assert last.record.mask_ratios == model.record.mask_ratios
    assert first.blind_loss == last.blind_loss == model.blind_loss
    assert last.checksum() == model.checksum() != first.checksum()
    assert set(model.record.train) > {"read_rate", "decoder_decay", "dispersion_rate"}


@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
def test_moments_of_other_depths_are_saved(adata, sizes, tmp_path, encoder):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, encoder=encoder, depth_moments=True, **sizes)
    model.train(max_epochs=1, batch_size=16, progress_bar=False)
    read = GeneMAE.load(model.save(tmp_path / "model"))
    assert torch.equal(read.network.content.depth_moments.root, model.network.content.depth_moments.root)
    assert model.network.content.depth_moments.root.abs().max() > 0.1
    assert (read.get_latent_representation(adata) == model.get_latent_representation()).all()
