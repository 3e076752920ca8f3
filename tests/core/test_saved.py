"""What all kinds of models share: the way to disk, the kind that is kept there, the checksum."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from r2mae_bio._errors import CorruptCheckpointError, NotTrainedError, SetupError
from r2mae_bio.core._bundle import halved
from r2mae_bio.core._checkpoint import read_bundle, write_folder
from r2mae_bio.core._saved import open_model
from r2mae_bio.masking import Beta, Choice, Fixed, Uniform

from .toy_model import Line, LineConfig


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


def test_one_model_is_written_as_the_same_bytes_whenever_it_is(tmp_path):
    model = Line(3, seed=7).initialize()
    again = Line.load(model.save(tmp_path / "first"))
    written = set()
    for i in range(12):  # safetensors orders two marks at random: twelve saves agree by chance once in 2,000
        folder = write_folder(
            tmp_path / f"{i}", {"model": replace(again._pack(again.record), metadata={"kind": "Line", "mark": "m"})}
        )
        written.add(tuple(file.read_bytes() for file in sorted(folder.iterdir())))
    assert len(written) == 1
    assert read_bundle(folder, "model").metadata == {"kind": "Line", "mark": "m"}
    assert torch.equal(Line.load(folder).network.weight, model.network.weight)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model = Line().initialize()
    assert model.save("~/models/line") == tmp_path / "home" / "models" / "line"
    assert Line.load("~/models/line").checksum() == open_model("~/models/line", Line, what="line").checksum() == model.checksum()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


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


def test_a_model_or_its_folder_is_the_same_to_a_verb(tmp_path):
    line = Line()
    line.network = torch.nn.Linear(2, 1)
    folder = line.save(tmp_path / "line")
    assert open_model(line, Line, "checksum", what="line") is line
    for path in (folder, str(folder)):
        assert open_model(path, Line, "checksum", what="line").checksum() == line.checksum()
    with pytest.raises(SetupError, match=r"The model is a int, which has no method checksum\(\); needed is a line, such as Line"):
        open_model(3, Line, "checksum", what="line")
    with pytest.raises(SetupError, match="The model is a int; needed is a line, such as Line"):
        open_model(3, Line, what="line")
    for method in (None, "checksum"):
        with pytest.raises(SetupError, match="The model is the class Line, not one of its instances"):
            open_model(Line, Line, method, what="line")


def test_a_notebook_shows_law_realised_ratios_and_losses():
    model = Line(seed=7).initialize()
    assert "<svg" not in model._repr_html_()
    history = [{"epoch": i, "train_loss": 3.0 - i, "validation_loss": 2.5 - i} for i in (0.0, 1.0)]
    model.record = replace(model.record, history=history, mask_ratios=[0] * 10 + [30] * 10, blind_loss=3.5, trained=True)
    facts, shown = model.describe(), model._repr_html_()
    assert facts["mask ratio"].startswith("Uniform(")
    assert facts["realised ratios"] == "300 rows, mean 0.75, nine tenths from 0.50 to 1.00"
    assert facts["validation loss"] == "1.5000 nats per hidden slot; 3.5000 for a blind guess"
    assert shown.count("<polyline") == 2
    assert all(name in shown for name in facts)
    assert "blind" in shown


def test_half_precision_spares_vectors_and_what_it_cannot_hold():
    tensors = {
        "matrix": torch.full((2, 2), 1 / 3),
        "large": torch.full((2, 2), 1e6),
        "vector": torch.rand(3),
        "n": torch.ones(2, 2, dtype=torch.long),
    }
    found = halved(tensors)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "matrix": torch.float16, "large": torch.float32, "vector": torch.float32, "n": torch.int64,
    }  # fmt: skip
    assert torch.allclose(found["matrix"].float(), tensors["matrix"], rtol=1e-3)
