"""Settings: to JSON and back without loss, and what is refused on creation."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError
from r2mae_bio.config import GeneConfig, GeneTrainConfig, TrainConfig

size = st.integers(1, 4096)
gene_configs = st.builds(
    GeneConfig,
    encoder=st.sampled_from(["transformer", "mlp"]),
    gene_likelihood=st.sampled_from(["nb", "zinb", "poisson", "normal"]),
    n_latent=size,
    n_factors=size,
    n_tokens=size,
    d_model=size,
    n_heads=size,
    n_layers=size,
    n_hidden=size,
    dropout=st.floats(0, 1, exclude_max=True),
    use_observed_lib_size=st.booleans(),
)
train_settings: dict[str, st.SearchStrategy[Any]] = {
    "max_epochs": size,
    "batch_size": size,
    "train_size": st.floats(0, 1, exclude_min=True, exclude_max=True),
    "learning_rate": st.floats(1e-8, 1),
    "weight_decay": st.floats(0, 1),
    "warmup": st.floats(0, 1, exclude_max=True),
    "gradient_clip": st.floats(1e-3, 1e3),
    "early_stopping": st.booleans(),
    "patience": size,
}
train_configs = st.builds(TrainConfig, **train_settings)
gene_train_configs = st.builds(
    GeneTrainConfig, **train_settings, read_rate=st.floats(0, 1), decoder_decay=st.floats(0, 20), dispersion_rate=st.floats(0, 50)
)


@given(st.one_of(gene_configs, train_configs, gene_train_configs))
def test_json_round_trip(config: GeneConfig | TrainConfig) -> None:
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("config", [GeneConfig(), TrainConfig(max_epochs=1)])
def test_settings_do_not_change(config: GeneConfig | TrainConfig) -> None:
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))


@pytest.mark.parametrize("cls", [GeneConfig, TrainConfig, GeneTrainConfig])
def test_unknown_settings_are_refused(cls: type[GeneConfig | TrainConfig]) -> None:
    with pytest.raises(ConfigError, match=rf"Unknown settings \['a_width', 'z_width'\] for {cls.__name__}"):
        cls.from_json({"z_width": 1, "a_width": 2} if cls is GeneConfig else {"max_epochs": 1, "z_width": 1, "a_width": 2})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        pytest.param({"encoder": "lstm"}, "encoder is 'lstm'; needed is", id="encoder"),
        pytest.param({"gene_likelihood": "gamma"}, "gene_likelihood is 'gamma'; needed is one of", id="likelihood"),
        *(
            pytest.param({name: value}, f"{name} is {value!r}; needed is a positive integer", id=f"{name}={value}")
            for name in ("n_latent", "n_factors", "n_tokens", "d_model", "n_heads", "n_layers", "n_hidden")
            for value in (0, -1, 2.0, "8", None)
        ),
        pytest.param({"dropout": 1}, "dropout is 1; needed is a probability below 1", id="dropout-1"),
        pytest.param({"dropout": -0.1}, "dropout is -0.1", id="dropout-negative"),
        pytest.param({"dropout": float("nan")}, "dropout is nan", id="dropout-nan"),
    ],
)
def test_gene_settings_that_cannot_work(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneConfig(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *(
            pytest.param({name: value}, f"{name} is {value!r}; needed is a positive integer", id=f"{name}={value}")
            for name in ("max_epochs", "batch_size", "patience")
            for value in (0, -1, 2.0, None)
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


def test_what_from_json_reads_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="n_latent is 0"):
        GeneConfig.from_json({**GeneConfig().to_json(), "n_latent": 0})
