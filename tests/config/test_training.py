"""Settings of training that cannot work, and those that genes alone have."""

from __future__ import annotations

from typing import Any

import pytest

from r2mae_bio._errors import ConfigError
from r2mae_bio.config import GeneTrainConfig, TrainConfig


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *(
            pytest.param({name: value}, f"{name} is {value!r}; needed is {needed}", id=f"{name}={value}")
            for name in ("max_epochs", "batch_size", "patience")
            for needed, values in {"a positive integer": (0, -1), "int": (2.0, None, True)}.items()
            for value in values
        ),
        pytest.param({"train_size": 0}, r"train_size is 0; needed is a share in \(0, 1\]", id="train_size-0"),
        pytest.param({"train_size": 1.1}, "train_size is 1.1", id="train_size-above"),
        pytest.param({"learning_rate": 0}, "learning_rate is 0; needed is a positive rate", id="learning_rate-0"),
        pytest.param({"learning_rate": float("nan")}, "learning_rate is nan; needed is a positive rate", id="learning_rate-nan"),
        pytest.param({"weight_decay": -1e-3}, "weight_decay is -0.001; needed is at least 0", id="weight_decay"),
        pytest.param({"warmup": 1}, "warmup is 1; needed is a share of the steps", id="warmup"),
        pytest.param({"gradient_clip": 0}, "gradient_clip is 0; needed is a positive norm", id="gradient_clip"),
        pytest.param({"early_stopping": True, "train_size": 1}, "early_stopping needs validation rows", id="early-stopping"),
    ],
)
@pytest.mark.parametrize("cls", [TrainConfig, GeneTrainConfig])
def test_training_settings_that_cannot_work(cls: type[TrainConfig], setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(**{"max_epochs": 1, **setting})


@pytest.mark.parametrize("name", ["read_rate", "decoder_decay", "dispersion_rate"])
def test_settings_of_genes_stay_with_genes(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is -1; needed is at least 0"):
        GeneTrainConfig(max_epochs=1, **{name: -1})
    with pytest.raises(ConfigError, match=rf"Unknown settings \['{name}'\] for TrainConfig"):
        TrainConfig.from_json({"max_epochs": 1, name: 1.0})
    assert name not in TrainConfig(max_epochs=1).to_json()
