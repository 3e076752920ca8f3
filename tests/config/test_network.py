"""Settings of networks that cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from r2mae_bio._errors import ConfigError
from r2mae_bio.config import GeneConfig


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        pytest.param({"encoder": "lstm"}, "encoder is 'lstm'; needed is", id="encoder"),
        pytest.param({"gene_likelihood": "gamma"}, "gene_likelihood is 'gamma'; needed is one of 'nb', 'zinb'", id="likelihood"),
        *(
            pytest.param({name: value}, f"{name} is {value!r}; needed is {needed}", id=f"{name}={value}")
            for name in ("n_latent", "n_factors", "n_tokens", "d_model", "n_heads", "n_layers", "n_hidden")
            for needed, values in {"a positive integer": (0, -1), "int": (2.0, "8", None, True)}.items()
            for value in values
            if not (name == "n_layers" and value is None)
        ),
        *(
            pytest.param({"noise_pooling": value}, f"noise_pooling is {value!r}; needed is", id=f"noise_pooling={value}")
            for value in (-0.1, 1.5, "auto", float("nan"))
        ),
        pytest.param({"depth_moments": True, "content": "log"}, "depth_moments needs counts and", id="depth_moments-log"),
        pytest.param(
            {"depth_moments": True, "gene_likelihood": "normal"},
            "gene_likelihood 'normal'. Leave it out",
            id="depth_moments-normal",
        ),
        pytest.param({"dropout": 1}, "dropout is 1; needed is a probability below 1", id="dropout-1"),
        pytest.param({"dropout": -0.1}, "dropout is -0.1", id="dropout-negative"),
        pytest.param({"dropout": float("nan")}, "dropout is nan", id="dropout-nan"),
    ],
)
def test_gene_settings_that_cannot_work(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GeneConfig(**setting)


def test_what_from_json_reads_is_checked_too() -> None:
    whole = GeneConfig().to_json()
    for name, value in (
        ("n_latent", True),
        ("n_latent", 8.0),
        ("dropout", "0.1"),
        ("use_observed_lib_size", 1),
        ("content", "cube"),
    ):
        with pytest.raises(ConfigError, match=f"{name} is {value!r}; needed is"):
            GeneConfig.from_json({**whole, name: value})
    del whole["dropout"]
    assert GeneConfig.from_json(whole).dropout == GeneConfig().dropout
    with pytest.raises(ConfigError, match="dropout is missing"):
        GeneConfig.from_json(whole, complete=True)
    with pytest.raises(ConfigError, match="n_latent is 0"):
        GeneConfig.from_json({**GeneConfig().to_json(), "n_latent": 0})


def test_layers_that_are_not_said_are_those_that_suit_the_encoder() -> None:
    assert (GeneConfig().n_layers, GeneConfig(encoder="mlp").n_layers, GeneConfig(n_layers=3).n_layers) == (1, 2, 3)
    assert GeneConfig.from_json(GeneConfig().to_json(), complete=True) == GeneConfig()
