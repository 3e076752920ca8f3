"""The callback: mean ratio, and loss by ratio, of any module."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from r2mae_bio._errors import ConfigError
from r2mae_bio.integrations.lightning import MaskRatioLogger, ratio_of_labels


class Toy(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch[:, :1]).sum() * 0 + 10 * batch[0, 0]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(callback, **settings):
    ratios = torch.tensor([0.1, 0.15, 0.5, 1.0])
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, callbacks=[callback], logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **settings,
    )  # fmt: skip
    trainer.fit(Toy(), DataLoader(ratios[:, None], batch_size=1))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_losses_are_means_of_the_minibatches_of_a_bin():
    found = train(MaskRatioLogger(lambda batch, outputs: batch[:, 0]))
    expected = {"mask_ratio": 0.4375, "train_loss_0.0-0.2": 1.25, "train_loss_0.4-0.6": 5.0, "train_loss_0.8-1.0": 10.0}
    assert found == pytest.approx(expected)
    two = train(MaskRatioLogger(lambda batch, outputs: float(batch[0, 0]), n_bins=2))
    assert two == pytest.approx({"mask_ratio": 0.4375, "train_loss_0.0-0.5": 1.25, "train_loss_0.5-1.0": 7.5})
    accumulated = train(MaskRatioLogger(lambda batch, outputs: batch[:, 0]), accumulate_grad_batches=3)
    assert accumulated == pytest.approx(expected)  # Lightning divides what it gives, also of a rest of fewer


def test_ratio_of_labels():
    labels = torch.tensor([[-100, 4, 5, -100], [-100, -100, 3, -100]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    assert ratio_of_labels({"labels": labels}, None).tolist() == [0.5, 0.25]
    assert ratio_of_labels({"labels": labels, "attention_mask": mask}, None)[1] == pytest.approx(1 / 3)


def test_either_lightning_takes_it():
    callback = MaskRatioLogger()
    assert isinstance(callback, pl.Callback)
    other = pytest.importorskip("lightning.pytorch")
    assert isinstance(callback, other.Callback)


def test_no_bins():
    for n_bins in (0, 2.5, "5"):
        with pytest.raises(ConfigError, match="n_bins is"):
            MaskRatioLogger(n_bins=n_bins)


@pytest.mark.parametrize("ratio", [float("nan"), -0.3, 1.7])
def test_what_is_no_share_is_refused(ratio):
    callback = MaskRatioLogger(lambda batch, outputs: ratio)
    callback.on_train_batch_end(None, None, {"other": 1}, {}, 0)  # without a loss there is nothing to note
    with pytest.raises(ConfigError, match="needed is the share that was hidden"):
        callback.on_train_batch_end(None, None, torch.tensor(1.0), {}, 0)
