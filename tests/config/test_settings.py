"""Settings: to JSON and back without loss, fixed once made, no unknown ones."""

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
