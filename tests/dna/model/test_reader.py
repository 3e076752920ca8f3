"""What a DNA model refuses to read, whatever the question."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio._errors import ConfigError, FastaError, NotDNAError, NotTrainedError


def test_nothing_is_read_without_weights(new, random_codes, tmp_path):
    model = new()
    codes = random_codes()
    for call in (
        lambda: model.log_probs(codes),
        lambda: model.states(codes),
        lambda: model.predict(["ACGT"]),
        lambda: model.get_latent_representation(["ACGT"]),
        lambda: model.save(tmp_path / "m"),
        model.checksum,
    ):
        with pytest.raises(NotTrainedError, match=r"call train\(\)"):
            call()
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strand": "-"}, "strand='-'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"batch_size": True}, "batch_size is True"),
    ],
)
def test_settings_that_cannot_be(wild, settings, words):
    codes = np.zeros((2, 9), np.uint8)
    for call in (wild.log_probs, wild.states):
        with pytest.raises(ConfigError, match=words):
            call(codes, **settings)
    for call in (wild.predict, wild.get_latent_representation):
        with pytest.raises(ConfigError, match=words):
            call(["ACGT"], **settings)


def test_layers_overlaps_and_hidden_at_once_that_cannot_be(wild):
    for layer in (3, -4):
        with pytest.raises(ConfigError, match=f"layer={layer}"):
            wild.states(np.zeros((2, 9), np.uint8), layer=layer)
        with pytest.raises(ConfigError, match=f"layer={layer}"):
            wild.get_latent_representation(["ACGT"], layer=layer)
    for overlap in (64, -1):
        for call in (wild.predict, wild.get_latent_representation):
            with pytest.raises(ConfigError, match=f"overlap={overlap}"):
                call(["ACGT"], overlap=overlap)
    for n in (0, 2.5):
        with pytest.raises(ConfigError, match=f"hidden_at_once is {n}"):
            wild.predict(["ACGT"], hidden_at_once=n)


def test_sequences_that_cannot_be(wild):
    for call in (wild.predict, wild.get_latent_representation):
        with pytest.raises(NotDNAError, match="'E' 'F'"):
            call(["ACGT", "MEF"])
        with pytest.raises(FastaError, match="put a single sequence into a list"):
            call("ACGT")
        with pytest.raises(FastaError, match="at least one"):
            call([])
