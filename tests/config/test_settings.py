"""Settings: to JSON and back without loss, fixed once made, no unknown ones."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError
from r2mae_bio.config import CellFinetuneConfig, DNAConfig, FinetuneConfig, GeneConfig, GeneTrainConfig, TrainConfig
from r2mae_bio.config._settings import Settings, check_batch_size

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


def _needed(cls: type[Settings]) -> dict[str, Any]:
    return {field.name: 1 for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}


EVERY = [CellFinetuneConfig, DNAConfig, FinetuneConfig, GeneConfig, GeneTrainConfig, TrainConfig]


@pytest.mark.parametrize("cls", EVERY)
def test_a_misspelt_setting_is_answered_by_the_nearest(cls: type[Settings]) -> None:
    for name in (field.name for field in dataclasses.fields(cls)):
        with pytest.raises(ConfigError, match=f"{cls.__name__} has no '{name}x'. Did you mean '{name}'?"):
            cls(**_needed(cls), **{f"{name}x": 1})
    with pytest.raises(ConfigError, match=f"{cls.__name__} has no 'zzz'. Known are "):
        dataclasses.replace(cls(**_needed(cls)), zzz=1)


@pytest.mark.parametrize("cls", EVERY)
def test_every_setting_has_a_type(cls: type[Settings]) -> None:
    """And True is no number."""
    plain = cls(**_needed(cls)).to_json()
    for name, value in plain.items():
        for other in ({"a": 1}, *([True] if type(value) in (int, float) else [])):
            with pytest.raises(ConfigError, match=f"{name} is {other!r}; needed is"):
                cls(**{**plain, name: other})


def test_settings_by_position_are_checked_and_numbers_of_numpy_are_numbers() -> None:
    with pytest.raises(ConfigError, match="batch_size is '8'; needed is int"):
        TrainConfig(3, "8")  # type: ignore[arg-type]
    config = TrainConfig(np.int64(3), learning_rate=np.float32(0.5))  # type: ignore[arg-type]
    assert config == TrainConfig(3, learning_rate=0.5)
    assert json.loads(json.dumps(config.to_json())) == TrainConfig(3, learning_rate=0.5).to_json()


@pytest.mark.parametrize("size", [True, False, 0, -1, 2.0, "8", None, np.bool_(True), float("nan")])
def test_a_batch_size_is_a_positive_whole_number(size: Any) -> None:
    with pytest.raises(ConfigError, match="batch_size is .*; needed is a positive number of rows, or None"):
        check_batch_size(size, "rows")
    for good in (1, 128, np.int32(7)):
        check_batch_size(good, "rows")
