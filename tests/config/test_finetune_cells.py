"""Settings of fine-tuning on cells."""

from __future__ import annotations

import pytest

from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.errors import (
    ConfigError,
)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", 0),
        ("encoder_rate", -1),
        ("warmup", 1),
        ("dropout", -0.1),
        ("batch_size", 0),
        ("n_hidden", -1),
        ("full_share", 1.1),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigError, match=f"{setting} is {value}"):
        CellFinetuneConfig(**{setting: value})


def test_settings_survive_json():
    config = CellFinetuneConfig(n_hidden=8, n_steps=3)
    assert CellFinetuneConfig.from_json(config.to_json()) == config
    with pytest.raises(ConfigError, match="Unknown settings"):
        CellFinetuneConfig.from_json({"nonsense": 1})
