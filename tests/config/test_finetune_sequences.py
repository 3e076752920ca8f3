"""Settings of fine-tuning on sequences."""

from __future__ import annotations

import pytest

from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.errors import ConfigError

from ..dna.toy_sequences import QUICK


@pytest.mark.parametrize(
    "setting", [{"dropout": 1.0}, {"batch_size": 0}, {"learning_rate": 0}, {"reverse_complement": "no"}, {"precision": "half"}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        FinetuneConfig(**setting)


def test_settings_return_from_json():
    assert FinetuneConfig.from_json(QUICK.to_json()) == QUICK
    with pytest.raises(ConfigError, match="Unknown"):
        FinetuneConfig.from_json({"colour": 1})
