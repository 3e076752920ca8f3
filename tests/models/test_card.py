"""Model cards say what is known, and that the rest is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from r2mae_bio._errors import ConfigError
from r2mae_bio.models import model_card


def test_what_is_not_known_is_not_made_up(gene_model: Any, dna_model: Any) -> None:
    for model in (gene_model, dna_model):
        card = model_card(model)
        assert "Nobody has said what it was trained on." in card
        assert "No report of the linear theory was given." in card
        assert "No comparison with controls was given." in card
        assert model.checksum() in card
        assert "Uniform" in card
        assert "license" not in yaml.safe_load(card.split("---")[1])


def test_what_was_given_stands_there(gene_model: Any) -> None:
    rows = [("panels", "PCA", 0.1, 0.05, 0.15), ("panels", "FA", 0.0, -0.1, 0.1), ("panels", "chosen", -0.2, -0.3, -0.1)]
    frame = pd.DataFrame(rows, columns=["panel", "method", "mean", "low", "high"])
    loss = pd.DataFrame([("scVI", -0.2, -0.3, -0.1)], columns=["method", "mean", "low", "high"])
    comparison = SimpleNamespace(reference="R2MAE", differences=lambda: {"panels": frame, "denoising": loss})
    advice = SimpleNamespace(verdict="Use 0 to 0.8.")
    card = model_card(gene_model, name="you/toy", licence="mit", data="Toy cells.", advice=advice, comparison=comparison)
    assert yaml.safe_load(card.split("---")[1])["license"] == "mit"
    assert "# you/toy" in card
    assert 'from_pretrained("you/toy")' in card
    assert "Toy cells." in card
    assert "Use 0 to 0.8." in card
    for line in (
        "| panels | PCA | +0.100 | +0.050 to +0.150 | beaten |",
        "| panels | FA | +0.000 | -0.100 to +0.100 | level |",
        "| panels | chosen | -0.200 | -0.300 to -0.100 | lost to |",
    ):
        assert line in card
    assert "| scVI | -0.200 | -0.300 to -0.100 | beaten |" in card  # a loss: less is better


def test_other_objects_have_no_card() -> None:
    with pytest.raises(ConfigError, match="The model is a int; a card can be made of GeneMAE"):
        model_card(3)  # type: ignore[arg-type]
