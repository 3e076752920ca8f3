"""Ratio laws: the distribution they declare is the one they draw, and they go to JSON and back."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st
from scipy import stats

from r2mae_bio import masking
from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import (
    Beta,
    Choice,
    Fixed,
    LogUniformVisible,
    RatioLaw,
    Schedule,
    Uniform,
    as_ratio_law,
    ratio_law_from_json,
)

share = st.floats(0, 1)
pair = st.tuples(share, share).map(sorted)
scopes = st.sampled_from(["row", "batch", "rectangle"])
laws = st.one_of(
    st.builds(lambda bounds, scope: Uniform(*bounds, scope=scope), pair, scopes),
    st.builds(Fixed, share, scope=scopes),
    st.builds(Schedule, share, share, st.sampled_from(["linear", "cosine"]), scope=scopes),
    st.builds(Choice, st.lists(share, min_size=1, max_size=5).map(tuple), scope=scopes),
    st.lists(st.tuples(share, st.floats(0.1, 9)), min_size=1, max_size=5).map(
        lambda rows: Choice(tuple(r for r, _ in rows), tuple(w for _, w in rows))
    ),
    st.builds(Beta, st.floats(0.1, 20), st.floats(0.1, 20), st.floats(0.01, 1), scope=scopes),
    st.builds(LogUniformVisible, st.floats(1e-6, 1), scope=scopes),
)


OURS = [law for law in RatioLaw.__subclasses__() if law.__module__.startswith("r2mae_bio")]


@pytest.mark.parametrize("kind", OURS)
def test_every_law_is_read_back_and_offered(kind: type[RatioLaw]) -> None:
    """And is among those that the tests below try."""
    assert getattr(masking, kind.__name__) is kind
    assert kind.__name__ in masking.__all__
    drawn = settings(phases=[Phase.generate], database=None, max_examples=1000)
    law = find(laws, lambda law: type(law) is kind, settings=drawn, random=Random(0))
    assert ratio_law_from_json(law.to_json()) == law


@given(laws)
def test_json_round_trip(law: RatioLaw) -> None:
    again = ratio_law_from_json(json.loads(json.dumps(law.to_json())))
    assert again == law
    assert type(again) is type(law)


@example(Beta(a=3.0, b=3.0), [0.0, 5e-324, 1e-200, 5e-144, 1e-100, 0.5, 1.0], 0.0)  # scipy's inverse gives NaN
@given(laws, st.lists(share, min_size=1, max_size=20).map(sorted), share)
def test_a_quantile_function_rises_within_zero_and_one(law: RatioLaw, u: list[float], progress: float) -> None:
    ratios = law.quantile(u, progress=progress)
    assert ratios.shape == (len(u),)
    assert ratios.dtype == np.float64
    assert (ratios >= 0).all()
    assert (ratios <= 1 + 1e-12).all()
    assert (np.diff(ratios) >= -1e-12).all()
    assert law.quantile(np.reshape(u, (1, -1, 1)), progress=progress).shape == (1, len(u), 1)


@given(laws, st.integers(1, 50), st.integers(0, 2**32), share)
def test_a_draw_is_a_function_of_the_generator_state(law: RatioLaw, size: int, seed: int, progress: float) -> None:
    draws = [law.sample(size, derive_generator(seed, "ratio"), progress=progress) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
    assert draws[0].shape == (size,)
    if law.scope != "row":
        assert np.unique(draws[0]).size == 1
    draws[0][0] = 2  # rows must not share memory
    assert (draws[0][1:] != 2).all()


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        pytest.param(Uniform(), stats.uniform(0, 1), id="uniform"),
        pytest.param(Uniform(0.2, 0.7), stats.uniform(0.2, 0.5), id="uniform-bounds"),
        pytest.param(Beta(2, 5), stats.beta(2, 5), id="beta"),
        pytest.param(Beta(0.5, 0.7, high=0.75), stats.beta(0.5, 0.7, scale=0.75), id="beta-scaled"),
    ],
)
@pytest.mark.parametrize("scope", ["row", "batch", "rectangle"])
def test_draws_follow_the_declared_law(law: RatioLaw, reference: Any, scope: str) -> None:
    law = ratio_law_from_json({**law.to_json(), "scope": scope})
    generator = derive_generator(0, "ratio")
    draws = law.sample(5000, generator) if scope == "row" else np.array([law.sample(3, generator)[0] for _ in range(5000)])
    assert stats.kstest(draws, reference.cdf).pvalue > 0.01
    u = np.linspace(0, 1, 101)
    np.testing.assert_allclose(law.quantile(u), reference.ppf(u), atol=1e-10)


@pytest.mark.parametrize("low", [0.5, 0.01, 1e-4])
def test_visible_share_is_log_uniform(low: float) -> None:
    visible = 1 - LogUniformVisible(low).sample(5000, derive_generator(1, "ratio"))
    assert stats.kstest(visible, stats.loguniform(low, 1).cdf).pvalue > 0.01


def test_a_wrong_law_fails_the_test_of_the_law() -> None:
    draws = Uniform(0, 0.95).sample(5000, derive_generator(0, "ratio"))
    assert stats.kstest(draws, stats.uniform(0, 1).cdf).pvalue < 1e-6


@pytest.mark.parametrize("weights", [None, (1.0, 5.0, 0.0, 2.0)])
def test_choice_takes_its_ratios_as_often_as_weighted(weights: tuple[float, ...] | None) -> None:
    ratios = (0.9, 0.1, 0.3, 0.5)
    draws = Choice(ratios, weights).sample(20_000, derive_generator(2, "ratio"))
    assert set(draws) <= set(ratios)
    expected = np.ones(4) / 4 if weights is None else np.array(weights) / sum(weights)
    observed = np.array([(draws == ratio).sum() for ratio in ratios])
    assert (observed[expected == 0] == 0).all()
    used = expected > 0
    assert stats.chisquare(observed[used], expected[used] * draws.size).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize(("start", "end"), [(0.9, 0.15), (0.1, 0.8), (0.5, 0.5)])
def test_schedule_moves_from_start_to_end(kind: str, start: float, end: float) -> None:
    law = Schedule(start, end, kind)
    path = np.array([law.sample(2, derive_generator(0, "ratio"), progress=t)[0] for t in np.linspace(0, 1, 41)])
    assert path[0] == pytest.approx(start)
    assert path[-1] == pytest.approx(end)
    assert path[20] == pytest.approx((start + end) / 2)
    assert (np.diff(path) * np.sign(end - start) >= -1e-12).all()
    assert law.quantile(0.3, progress=-1) == pytest.approx(start)
    assert law.quantile(0.3, progress=2) == pytest.approx(end)


def test_cosine_is_slow_at_both_ends_and_linear_is_not() -> None:
    assert Schedule(0, 1, "linear").quantile(0, progress=0.25) == pytest.approx(0.25)
    assert Schedule(0, 1, "cosine").quantile(0, progress=0.25) == pytest.approx((1 - np.sqrt(0.5)) / 2)
    assert Schedule(0, 1, "cosine").quantile(0, progress=0.75) == pytest.approx((1 + np.sqrt(0.5)) / 2)


@given(share, share)
def test_fixed_is_fixed(ratio: float, progress: float) -> None:
    assert (Fixed(ratio).sample(7, derive_generator(0, "ratio"), progress=progress) == ratio).all()


@pytest.mark.parametrize(
    ("given_as", "law"),
    [
        pytest.param(0.3, Fixed(0.3), id="float"),
        pytest.param(1, Fixed(1.0), id="int"),
        pytest.param(np.float32(0.5), Fixed(0.5), id="numpy"),
        pytest.param((0, 1), Uniform(0.0, 1.0), id="pair"),
        pytest.param([0.1, 0.9], Uniform(0.1, 0.9), id="list"),
        pytest.param(Choice((0.1, 0.2), scope="batch"), Choice((0.1, 0.2), scope="batch"), id="law"),
    ],
)
def test_what_a_user_may_pass_as_mask_ratio(given_as: Any, law: RatioLaw) -> None:
    assert as_ratio_law(given_as) == law


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(True, "mask_ratio is True; needed is", id="bool"),
        pytest.param("0.5", "mask_ratio is '0.5'; needed is", id="string"),
        pytest.param("ab", "mask_ratio is 'ab'; needed is", id="string-of-two"),
        pytest.param(None, "mask_ratio is None; needed is", id="none"),
        pytest.param((0.1, 0.2, 0.3), "needed is a number in", id="triple"),
        pytest.param((0.9, 0.1), "0 <= low <= high <= 1", id="reversed"),
        pytest.param((0.5, 1.5), "0 <= low <= high <= 1", id="pair-above"),
        pytest.param(1.5, "0 <= ratio <= 1", id="above"),
        pytest.param(-0.1, "0 <= ratio <= 1", id="below"),
        pytest.param(float("nan"), "0 <= ratio <= 1", id="nan"),
    ],
)
def test_what_a_user_may_not_pass(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_ratio_law(value)


@pytest.mark.parametrize(
    ("law", "parameters", "message"),
    [
        pytest.param(Uniform, {"low": 0.6, "high": 0.5}, "0 <= low <= high <= 1", id="uniform"),
        pytest.param(Fixed, {"ratio": 2}, "0 <= ratio <= 1", id="fixed"),
        pytest.param(Schedule, {"end": 1.1}, r"start and end in \[0, 1\]", id="schedule"),
        pytest.param(Schedule, {"kind": "step"}, "kind 'linear' or 'cosine'", id="schedule-kind"),
        pytest.param(Choice, {"ratios": ()}, "at least one ratio", id="choice-empty"),
        pytest.param(Choice, {"ratios": (0.5, 1.5)}, "at least one ratio, all in", id="choice-above"),
        pytest.param(Choice, {"weights": (1, 2)}, "one weight per ratio", id="choice-weights"),
        pytest.param(Choice, {"weights": (1, -2, 3)}, "weights of at least 0", id="choice-negative"),
        pytest.param(Choice, {"weights": (0, 0, 0)}, "positive sum", id="choice-zero"),
        pytest.param(Beta, {"a": 0}, "a > 0, b > 0", id="beta"),
        pytest.param(Beta, {"high": 1.1}, "0 < high <= 1", id="beta-high"),
        pytest.param(LogUniformVisible, {"low": 0}, "0 < low <= 1", id="log-uniform"),
        pytest.param(Uniform, {"scope": "cell"}, "scope is 'cell'; needed is one of 'batch', 'row', 'rectangle'", id="scope"),
    ],
)
def test_parameters_that_make_no_law(law: type[RatioLaw], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        law(**parameters)


@pytest.mark.parametrize("data", [{"law": "Normal"}, {}, {"low": 0.1}, {"law": "Uniform", "width": 1}])
def test_json_of_no_law(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="describes no law of mask ratios; known laws are Beta, Choice"):
        ratio_law_from_json(data)


def _law_means(law: RatioLaw, n: int) -> list[float]:
    """Means of p and p^2 over a fine grid of quantiles, or of moments of the training for a law
    that changes during it.
    """
    grid = (np.arange(n) + 0.5) / n
    if isinstance(law, Schedule):
        ratios = np.array([float(law.quantile(0.5, progress=t)) for t in grid])
    else:
        ratios = law.quantile(grid)
    return [ratios.mean(), (ratios**2).mean()]


def _quadrature_means(law: RatioLaw, *n_nodes: int) -> list[float]:
    ratios, weights = law.quadrature(*n_nodes)
    return [weights @ ratios, weights @ ratios**2]


@given(laws, st.integers(1, 40))
def test_quadrature_is_a_law_on_the_unit_interval(law: RatioLaw, n_nodes: int) -> None:
    ratios, weights = law.quadrature(n_nodes)
    assert ratios.shape == weights.shape
    assert ratios.ndim == 1
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert ((ratios >= 0) & (ratios <= 1 + 1e-12)).all()


@pytest.mark.parametrize(
    ("law", "tolerance"),
    [
        pytest.param(Uniform(), 1e-6, id="uniform"),
        pytest.param(Uniform(0.2, 0.7, scope="batch"), 1e-6, id="uniform-bounds"),
        pytest.param(Fixed(0.3), 1e-12, id="fixed"),
        pytest.param(Schedule(0.9, 0.15), 1e-6, id="linear"),
        pytest.param(Schedule(0.1, 0.8, "cosine"), 1e-6, id="cosine"),
        pytest.param(Choice((0.9, 0.1, 0.3), (1.0, 5.0, 2.0)), 1e-4, id="choice"),
        pytest.param(Beta(2, 5), 1e-4, id="beta"),
        pytest.param(Beta(0.5, 0.7, high=0.75), 1e-4, id="beta-scaled"),
        pytest.param(LogUniformVisible(0.01), 1e-6, id="log-uniform"),
        pytest.param(LogUniformVisible(1e-6), 1e-6, id="log-uniform-wide"),
    ],
)
def test_quadrature_has_the_means_of_the_law(law: RatioLaw, tolerance: float) -> None:
    np.testing.assert_allclose(_quadrature_means(law), _law_means(law, 20_000), atol=tolerance)


@given(laws)
def test_quadrature_is_close_for_every_law(law: RatioLaw) -> None:
    """Also for those that are almost steps, at which a rule for smooth functions errs by a part of
    a node.
    """
    np.testing.assert_allclose(_quadrature_means(law, 64), _law_means(law, 2000), atol=0.02)


def test_quadrature_of_a_choice_is_its_atoms_and_of_a_fixed_ratio_one_node() -> None:
    ratios, weights = Choice((0.9, 0.1, 0.3), (1.0, 5.0, 2.0)).quadrature()
    np.testing.assert_array_equal(ratios, [0.9, 0.1, 0.3])
    np.testing.assert_allclose(weights, [0.125, 0.625, 0.25])
    np.testing.assert_allclose(Choice((0.2, 0.4)).quadrature(7)[1], [0.5, 0.5])
    ratios, weights = Fixed(0.3).quadrature(32)
    assert (list(ratios), list(weights)) == ([0.3], [1.0])


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_quadrature_of_a_schedule_is_the_mixture_over_training(kind: str) -> None:
    """The linear one spends as long at every ratio, so it is the uniform law; the cosine one stays
    longer at the ends.
    """
    schedule = _quadrature_means(Schedule(0.9, 0.1, kind))
    uniform = _quadrature_means(Uniform(0.1, 0.9))
    assert schedule[0] == pytest.approx(uniform[0])
    if kind == "linear":
        assert schedule[1] == pytest.approx(uniform[1])
    else:
        assert schedule[1] == pytest.approx(0.5**2 + 0.4**2 / 2)  # the variance of an arcsine law
