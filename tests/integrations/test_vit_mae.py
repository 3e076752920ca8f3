"""A random ratio in ViTMAEForPreTraining: upstream at a fixed ratio, seeded otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.integrations._laws import law_of
from r2mae_bio.integrations.vit_mae import Ratios, random_ratio
from r2mae_bio.masking import Choice, Schedule

pytest.importorskip("transformers", reason="needs the extra huggingface")
from transformers import ViTMAEConfig, ViTMAEForPreTraining

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore:Guards may run slower")
PIXELS = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    encoder = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    decoder = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    images = {"image_size": 28, "patch_size": 4, "num_channels": 1}
    return ViTMAEForPreTraining(ViTMAEConfig(**encoder, **decoder, **images, decoder_intermediate_size=16)).train()


def test_a_fixed_ratio_is_upstream(model):
    model.config.mask_ratio = 0.6
    torch.manual_seed(1)
    theirs = model(PIXELS).loss
    model.config.mask_ratio = 0.75
    torch.manual_seed(1)
    with random_ratio(model, 0.6):
        ours = model(PIXELS).loss
    assert torch.equal(theirs, ours)
    assert model.config.mask_ratio == 0.75


def test_ratios_are_drawn_and_are_functions_of_the_seed_and_the_pass(model):
    with random_ratio(model, (0, 1), seed=3) as ratios:
        masks = [model(PIXELS).mask for _ in range(12)]
    shares = [float(mask.mean()) for mask in masks]
    np.testing.assert_allclose(shares, ratios.used, rtol=1e-6)
    assert len(set(shares)) > 8
    assert min(shares) > 0
    assert max(shares) < 1
    with random_ratio(model, (0, 1), seed=3) as ratios:
        ratios.step = 7
        assert torch.equal(model(PIXELS).mask, masks[7])
    with random_ratio(model, (0, 1), seed=4):
        assert not torch.equal(model(PIXELS).mask, masks[0])


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_patch_is_seen_and_one_is_hidden(model, ratio):
    with random_ratio(model, (ratio, ratio)):
        hidden = model(PIXELS).mask.sum(1)
    assert (hidden == (1 if ratio == 0 else 48)).all()


def test_evaluation_and_what_follows_are_as_before(model):
    with random_ratio(model, (0, 1)) as ratios:
        model.eval()
        assert float(model(PIXELS).mask.mean()) == pytest.approx(37 / 49)
        model.train()
        with pytest.raises(ValueError, match="channel"):
            model(torch.randn(4, 3, 28, 28))
        assert model.config.mask_ratio == 0.75
    assert len(ratios.used) == 1
    assert not model._forward_pre_hooks
    assert not model._forward_hooks


def test_a_compiled_model_sees_few_ratios(model):
    compiled = torch.compile(model, backend="eager")
    torch._dynamo.utils.counters.clear()
    with random_ratio(compiled, (0, 1), bins=3) as ratios:
        for _ in range(15):
            compiled(PIXELS)
    assert len(set(ratios.used)) == 3
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4


@pytest.mark.parametrize(
    ("law", "bins", "expected"),
    [
        ((0.4, 0.8), 4, [0.45, 0.55, 0.65, 0.75]),
        (Choice((0.2, 0.9)), 8, [0.2, 0.9]),
        (0.3, 8, [0.3]),
        (Schedule(0.9, 0.1), 4, [0.2, 0.4, 0.6, 0.8]),
    ],
)
def test_few_ratios_are_of_the_law(law, bins, expected):
    ratios = Ratios(law_of(law, "batch", ("batch",)), 0, bins)
    drawn = set()
    for step in range(200):
        ratios.step, ratios.progress = step, step / 199
        drawn.add(ratios.draw(1000) / 1000)
    assert sorted(drawn) == pytest.approx(expected)


def test_input_that_cannot_be(model):
    for arguments, words in (
        ((torch.nn.Linear(2, 2),), "without config.mask_ratio"),
        ((model, 1.5), "mask ratios"),
    ):
        with pytest.raises(ConfigError, match=words), random_ratio(*arguments):
            pass
    for bins in (0, 2.5):
        with pytest.raises(ConfigError, match=f"bins is {bins}"), random_ratio(model, bins=bins):
            pass
    with random_ratio(model) as ratios, pytest.raises(ConfigError, match="1 patches; needed are at least two"):
        ratios.draw(1)
