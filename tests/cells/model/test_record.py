"""What records of older models say."""

from __future__ import annotations

from r2mae_bio.cells.model._record import GeneRecord


def test_models_of_before_there_was_a_choice_read_logs(model):
    data = model.record.to_json()
    assert GeneRecord.from_json(data).config.content == "sqrt"
    del data["config"]["content"]
    assert GeneRecord.from_json(data).config.content == "log"
