"""What all kinds of models share: the way to disk, the kind that is kept there, the checksum, the
options of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from r2mae_bio._errors import CheckpointError, CorruptCheckpointError, NotTrainedError
from r2mae_bio.core._checkpoint import read_bundle, write_folder
from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._run import default_epochs, train_options
from r2mae_bio.core._saved import SavedModel
from r2mae_bio.core._seeded import seeded
from r2mae_bio.masking import Beta, Choice, Fixed, Uniform
from r2mae_bio.model import GeneMAE


@dataclass(frozen=True)
class LineConfig:
    width: int = 2

    def to_json(self):
        return {"width": self.width}


@dataclass(eq=False, kw_only=True)
class LineRecord(ModelRecord):
    colour: str

    def to_json(self):
        return {**super().to_json(), "colour": self.colour}

    @classmethod
    def _own_fields(cls, data):
        return {"config": LineConfig(**data["config"]), "colour": data["colour"]}


class Line(SavedModel[LineRecord, torch.nn.Linear]):
    """The smallest model: one linear layer."""

    _kind = "Line"

    def __init__(self, width=2, law=None, seed=0):
        law = Uniform() if law is None else law
        self.record = LineRecord(config=LineConfig(width), law=law, seed=seed, colour="red")
        self.network = None

    def initialize(self):
        with seeded(self.record.seed):
            self.network = torch.nn.Linear(self.record.config.width, 1)
        return self

    @classmethod
    def _read_record(cls, data):
        return LineRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record):
        return torch.nn.Linear(record.config.width, 1)

    def _after_load(self):
        self.was_loaded = True


@pytest.mark.parametrize("law", [Uniform(0.1, 0.8), Fixed(0.3, scope="batch"), Choice((0.2, 0.9), (1.0, 3.0)), Beta(1.5, 4.0)])
def test_everything_comes_back(tmp_path, law):
    model = Line(3, law, seed=7).initialize()
    model.record = replace(
        model.record, history=[{"epoch": 0.0}], mask_ratios=[4, 5], blind_loss=1.25, train={"a": 1}, trained=True, colour="blue"
    )
    loaded = Line.load(model.save(tmp_path / "line"))
    assert loaded.record.to_json() == model.record.to_json()
    assert type(loaded.record.law) is type(law)
    assert torch.equal(loaded.network.weight, model.network.weight)
    assert loaded.checksum() == model.checksum()
    assert loaded.was_loaded
    assert not loaded.network.training
    assert (loaded.is_trained, loaded.blind_loss, len(loaded.history)) == (True, 1.25, 1)


def test_one_class_does_not_read_the_files_of_another(model, tmp_path):
    gene, line = model.save(tmp_path / "gene"), Line().initialize().save(tmp_path / "line")
    with pytest.raises(CheckpointError, match=r"holds a GeneMAE, and Line\.load .* load it with r2mae_bio\.model\.GeneMAE\.load"):
        Line.load(gene)
    with pytest.raises(CheckpointError, match=r"holds a Line, and GeneMAE\.load .* load it with r2mae_bio\.model\.Line\.load"):
        GeneMAE.load(line)
    assert GeneMAE.load(gene).checksum() == model.checksum()


@pytest.mark.parametrize("change", [lambda d: d.pop("kind"), lambda d: d.pop("colour"), lambda d: d.update(config={"depth": 1})])
def test_what_is_missing_or_misstated_is_refused(tmp_path, change):
    saved = Line().initialize().save(tmp_path / "line")
    bundle = read_bundle(saved, "model")
    change(bundle.data)
    write_folder(saved, {"model": bundle}, overwrite=True)
    with pytest.raises(CorruptCheckpointError, match="lacks or misstates part of a Line"):
        Line.load(saved)


def test_weights_of_another_width_are_refused(tmp_path):
    saved = Line(2).initialize().save(tmp_path / "line")
    bundle = read_bundle(saved, "model")
    bundle.data["config"]["width"] = 3
    write_folder(saved, {"model": bundle}, overwrite=True)
    with pytest.raises(CorruptCheckpointError, match="do not fit the configuration"):
        Line.load(saved)


def test_the_checksum_tells_weights_and_sizes_but_not_history():
    model = Line(seed=1).initialize()
    before = model.checksum()
    assert before == Line(seed=1).initialize().checksum()
    model.record.history, model.record.trained = [{"epoch": 0.0}], True
    assert model.checksum() == before
    assert Line(seed=2).initialize().checksum() != before
    with torch.no_grad():
        model.network.bias += 1e-6
    changed = model.checksum()
    assert changed != before
    model.record = replace(model.record, config=LineConfig(5))
    assert model.checksum() not in (before, changed)


def test_a_swap_of_names_or_values_changes_the_checksum(model):
    network, before = model.network, model.checksum()
    weight = next(p for p in network.parameters() if p.dim() == 2 and p.shape[0] > 1)
    with torch.no_grad():
        kept = weight.clone()
        weight.copy_(weight.flip(0))
        assert model.checksum() != before
        weight.copy_(kept)
    assert model.checksum() == before


def test_what_needs_weights_says_so(tmp_path):
    for call in (lambda m: m.save(tmp_path / "x"), lambda m: m.checksum(), lambda m: m.device, lambda m: m.to_device("cpu")):
        with pytest.raises(NotTrainedError, match=r"call train\(\), or initialize\(\)"):
            call(Line())
    assert not (tmp_path / "x").exists()


def test_weights_come_from_the_seed_alone():
    state = torch.get_rng_state()
    first = Line(seed=3).initialize().network.weight
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert torch.equal(Line(seed=3).initialize().network.weight, first)
    assert not torch.equal(Line(seed=4).initialize().network.weight, first)


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


# ---------------------------------------------------------------- options of a run

PLAIN = {
    "accelerator": "cpu",
    "devices": 1,
    "progress_bar": False,
    "checkpoint_every_n_steps": None,
    "trainer_kwargs": {"precision": 32},
}


def test_options_are_handed_on_and_nothing_is_written_unless_asked():
    options = train_options(**PLAIN, checkpoint_dir=None, resume_from=None)
    assert (options.accelerator, options.devices, options.progress_bar) == ("cpu", 1, False)
    assert (options.checkpoint_dir, options.resume_from, options.trainer_kwargs) == (None, None, {"precision": 32})


def test_a_resumed_run_stays_in_its_folder_unless_told_another(tmp_path):
    step = tmp_path / "run" / "step_00000012"
    step.mkdir(parents=True)
    (step / "state.json").touch()
    for resume_from in (step, str(step), tmp_path / "run"):
        options = train_options(**PLAIN, checkpoint_dir=None, resume_from=resume_from)
        assert (options.checkpoint_dir, options.resume_from) == (tmp_path / "run", Path(resume_from))
    assert train_options(**PLAIN, checkpoint_dir="elsewhere", resume_from=step).checkpoint_dir == Path("elsewhere")
    with pytest.raises(CheckpointError, match="holds no training checkpoint"):
        train_options(**PLAIN, checkpoint_dir=None, resume_from=tmp_path / "nowhere")


@pytest.mark.parametrize(("n_rows", "batch_size", "epochs"), [(4000, 100, 20), (1000, 100, 40), (50, 100, 400), (10**6, 10, 20)])
def test_epochs_for_about_400_steps(n_rows, batch_size, epochs):
    assert default_epochs(n_rows, batch_size) == epochs
