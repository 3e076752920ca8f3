"""Names that users give: the nearest one, what to write instead, or all of them."""

from __future__ import annotations

import pytest

from r2mae_bio import tl
from r2mae_bio._errors import ConfigError
from r2mae_bio.config import CellFinetuneConfig, DNAConfig, GeneConfig, GeneTrainConfig, TrainConfig
from r2mae_bio.config._names import answers_scvi, check_names, in_config

SHOWN = {"max_epochs": 3, "batch_size": 8}


def test_a_name_that_is_known_passes_and_others_are_answered():
    check_names(["a"], {"a", "b"}, what="f()")
    for given, words in (
        ("colour", r"f\(\) has no 'colour'. Did you mean 'color'\?"),
        ("zzz", r"f\(\) has no 'zzz'. Known are color, size."),
        ("lr", r"f\(\) has no 'lr': write size."),
    ):
        with pytest.raises(ConfigError, match=words):
            check_names([given], {"size", "color"}, what="f()", instead={"lr": "write size"})


@pytest.mark.parametrize("cls", [GeneConfig, DNAConfig])
def test_a_misspelt_setting_is_not_put_down_to_a_newer_version(cls):
    with pytest.raises(ConfigError, match=f"{cls.__name__} has no 'n_layer'. Did you mean 'n_layers'"):
        cls(n_layer=3)
    with pytest.raises(ConfigError, match="n_layers is 2.5; needed is int"):
        cls(n_layers=2.5)
    with pytest.raises(ConfigError, match="newer version"):
        cls.from_json({"n_layer": 3})


def test_settings_of_a_call_come_from_three_places():
    made = GeneTrainConfig.of_call(SHOWN, {"patience": 4}, {"lr": 0.1, "weight_decay": 0.2})
    assert made == GeneTrainConfig(**SHOWN, patience=4, learning_rate=0.1, weight_decay=0.2)
    assert TrainConfig.of_call(SHOWN, None) == TrainConfig(**SHOWN)


@pytest.mark.parametrize(
    ("others", "plan", "words"),
    [
        ({"learning_rte": 1}, None, "Did you mean 'learning_rate'"),
        ({"batch_size": 9}, None, "batch_size given twice"),
        ({"learning_rate": 1.0}, {"lr": 1.0}, "learning_rate given twice"),
        (None, {"n_epochs_kl_warmup": 1}, "plan_kwargs has no 'n_epochs_kl_warmup': there is no KL term"),
        (None, {"lrr": 1}, "Did you mean 'lr'"),
        (None, {"lr": "fast"}, "learning_rate is 'fast'; needed is float"),
        ({"patience": True}, None, "patience is True; needed is int"),
    ],
)
def test_settings_of_a_call_that_cannot_be(others, plan, words):
    with pytest.raises(ConfigError, match=words):
        GeneTrainConfig.of_call(SHOWN, others, plan)


def test_a_decorated_method_answers_and_is_otherwise_as_it_was():
    @answers_scvi(give_mean="there is one")
    def embed(x: int, *, size: int = 2) -> int:
        """Embed."""
        return x * size

    assert embed(3, size=3) == 9
    assert embed.__doc__ == "Embed."
    with pytest.raises(ConfigError, match=r"embed\(\) has no 'give_mean': there is one"):
        embed(3, give_mean=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"embed\(\) got an unexpected keyword argument 'other'. Known are size, x."):
        embed(3, other=True)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"embed\(\) has no 'sise'. Did you mean 'size'\?"):
        embed(3, sise=3)  # type: ignore[call-arg]


def test_a_setting_of_config_is_answered_by_where_to_write_it():
    @answers_scvi(**in_config(CellFinetuneConfig))
    def finetune(*, config: CellFinetuneConfig | None = None) -> None:
        """Do nothing."""

    finetune(config=CellFinetuneConfig(n_steps=3))
    for given, words in (("max_epochs", "n_steps"), ("learning_rate", "learning_rate")):
        with pytest.raises(ConfigError, match=rf"finetune\(\) has no '{given}': write config=.*CellFinetuneConfig\({words}="):
            finetune(**{given: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted({*tl.__all__} - {"pretrain"}))  # which passes names on
def test_every_verb_answers_a_name_that_it_does_not_take(name):
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'zzz'. Known are "):
        getattr(tl, name)(zzz=1)
