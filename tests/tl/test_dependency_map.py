"""``tl.dependency_map``: what moves a prediction, against a model that is known."""

from __future__ import annotations

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, RegionError
from r2mae_bio.io import Genome

from .toy_predictors import TEXT, Counter


class Pairs:
    """Predicts a base from the one two places before it, three to one for the same base."""

    window = 12

    def checksum(self):
        return "pairs"

    def log_probs(self, codes, hidden=None, *, strand="both", batch_size=None):
        before = np.pad(np.where(hidden, 4, codes), ((0, 0), (2, 0)), constant_values=4)[:, : codes.shape[1]]
        weights = 1.0 + 8 * (before[..., None] == np.arange(4))
        return np.log(weights / weights.sum(-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n")
    return Genome(path, cache_dir=tmp_path / "cache")


def test_a_base_moves_what_is_predicted_from_it_and_nothing_else(genome):
    table = rb.tl.dependency_map("chr1:3-12", genome, Pairs())
    values = table.to_numpy()
    assert np.isnan(np.diag(values)).all()
    # from odds of 9 to 3 against, to odds of 1 to 11
    moved = np.log2((9 / 3) / (1 / 11))
    lag = np.arange(10)[None] - np.arange(10)[:, None]
    np.testing.assert_allclose(values[lag == 2], moved, rtol=1e-5)
    np.testing.assert_allclose(values[(lag != 2) & (lag != 0)], 0, atol=1e-5)
    assert table.index.tolist() == table.columns.tolist() == list(range(3, 13))
    assert table.attrs["reference"] == TEXT[2:12].upper()


def test_an_unknown_base_is_not_changed(genome):
    place = TEXT.index("n")
    values = rb.tl.dependency_map(("chr1", place - 3, place + 3), genome, Pairs()).to_numpy()
    assert np.isnan(values[3]).all()
    assert np.isfinite(values[2, [0, 1, 3, 4, 5]]).all()


def test_many_questions_at_once_give_what_single_readings_give(genome):
    model = rb.model.DNAMAE(genome, window=24, n_layers=3, d_model=16, n_heads=2, attention_every=2)
    model.initialize()
    table = rb.tl.dependency_map(("chr1", 4, 10), genome, model, strand="+")
    window = rb.io.encode_bases(("N" * 24 + TEXT.upper())[19 : 19 + 24])  # nine before the region of six

    def odds(codes, at):
        p = np.exp(model.log_probs(codes[None], np.arange(24)[None] == at, strand="+")[0, at].astype(float))
        return np.log2(p / (1 - p))

    changed = window.copy()
    expected = 0.0
    for base in set(range(4)) - {int(window[9])}:
        changed[9] = base
        expected = max(expected, np.abs(odds(changed, 13) - odds(window, 13)).max())
    assert table.iloc[0, 4] == pytest.approx(expected, abs=1e-4)
    assert expected > 1e-3


def test_what_cannot_be(genome):
    with pytest.raises(RegionError, match="at most 9"):
        rb.tl.dependency_map("chr1:1-10", genome, Counter())
    with pytest.raises(ConfigError, match="context=10"):
        rb.tl.dependency_map("chr1:1-5", genome, Counter(), context=10)
    with pytest.raises(ConfigError, match="strand"):
        rb.tl.dependency_map("chr1:1-5", genome, Counter(), strand="-")
