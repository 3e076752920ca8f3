"""What records of older models say."""

from __future__ import annotations

from r2mae_bio.cells.model._record import GeneRecord


def test_models_of_before_there_was_a_choice_read_logs(model):
    data = model.record.to_json()
    assert GeneRecord.from_json(data).config.content == "sqrt"
    del data["config"]["content"]
    assert GeneRecord.from_json(data).config.content == "log"


def test_models_of_before_there_was_a_choice_started_without_pooled_noise(model):
    data = model.record.to_json()
    assert GeneRecord.from_json(data).config == model.config
    data["config"].pop("noise_pooling", None)
    old = GeneRecord.from_json(data)
    assert old.config.noise_pooling == 0
    assert "noise_pooling" not in old.to_json()["config"]


def test_models_of_before_there_was_a_choice_have_one_mean_for_all_depths(model):
    data = model.record.to_json()
    assert "depth_moments" not in data["config"]
    assert GeneRecord.from_json(data).config.depth_moments is False
    data["config"]["depth_moments"] = True
    assert GeneRecord.from_json(data).to_json()["config"]["depth_moments"] is True


def test_models_of_before_there_was_a_choice_read_panels_at_the_depth_of_an_average_cell(model):
    data = model.record.to_json()
    assert data["config"].pop("panel_reader", None) in (True, None)
    old = GeneRecord.from_json(data)
    assert old.config.panel_reader is False
    assert "panel_reader" not in old.to_json()["config"]
