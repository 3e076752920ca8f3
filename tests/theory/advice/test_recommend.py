"""From a spectrum to a range of ratios: what is chosen, and what it is compared with."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.theory.advice._curve import RATIOS
from r2mae_bio.theory.advice._report import candidates

if TYPE_CHECKING:
    from collections.abc import Callable


N, PANEL = 100, 0.3


SETTINGS = {"calibrated": True}


@pytest.fixture(scope="module")
def eigen(correlation: np.ndarray) -> theory.Eigendecomposition:
    return theory.decompose(correlation)


@pytest.fixture(scope="module")
def samples(eigen: theory.Eigendecomposition) -> np.ndarray:
    """Three spectra that a resampling might have given."""
    values = eigen.values * np.random.default_rng(0).uniform(0.9, 1.1, (3, eigen.values.size))
    return values / values.mean(1, keepdims=True)


@pytest.fixture(scope="module")
def advice(eigen: theory.Eigendecomposition, samples: np.ndarray) -> theory.Recommendation:
    return theory.recommend(eigen, n=N, panel=PANEL, masks="single", eigenvalue_samples=samples, **SETTINGS)


@pytest.fixture(scope="module")
def few(eigen: theory.Eigendecomposition) -> theory.Recommendation:
    """Fewer cells than genes, predictions as they are."""
    return theory.recommend(eigen, n=30, panel=PANEL, masks="single")


@pytest.fixture(params=["advice", "few"])
def either(request: pytest.FixtureRequest) -> theory.Recommendation:
    return request.getfixturevalue(request.param)


def _width(law: tuple[float, float]) -> float:
    return round(law[1] - law[0], 6)


def test_candidates_run_from_narrow_to_wide() -> None:
    laws = candidates()
    widths = [_width(law) for law in laws]
    assert widths == sorted(widths)
    assert len(set(laws)) == len(laws)
    assert widths[0] == 0.2
    assert laws[-1] == (0.0, 1.0)
    assert all(0 <= low < high <= 1 for low, high in laws)


def test_the_law_is_the_widest_of_those_as_good_as_the_best(either: theory.Recommendation) -> None:
    worst = np.maximum(either.full.costs, either.on_panel.costs)
    laws = candidates()
    assert worst.shape == (len(laws),)
    chosen = worst[laws.index(either.law)]
    assert chosen <= worst.min() + 0.01
    good = {law for law, cost in zip(laws, worst, strict=True) if cost <= worst.min() + 0.01}
    assert _width(either.law) == max(map(_width, good))
    assert chosen == pytest.approx(max(either.cost.values()))


def test_the_cost_is_relative_to_the_best_fixed_ratio_of_the_same_test(
    advice: theory.Recommendation, correlation: np.ndarray
) -> None:
    for name, test in (("full", None), ("panel", 1 - PANEL)):
        settings = {"n": N, "test": test, "algebra": "eigenbasis", **SETTINGS}
        law = theory.autoencoder_risk(correlation, mask_ratio=advice.law, **settings)
        curve = theory.risk_curve(correlation, **settings)
        best = theory.autoencoder_risk(correlation, mask_ratio=curve.best, **settings)
        assert advice.cost[name] == pytest.approx(law.prediction_error / best.prediction_error - 1, rel=1e-6)


def test_scenarios_are_curves_with_the_run_within_five_per_cent(advice: theory.Recommendation, correlation: np.ndarray) -> None:
    for scenario, test in ((advice.full, None), (advice.on_panel, 1 - PANEL)):
        curve = theory.risk_curve(correlation, n=N, test=test, algebra="eigenbasis", **SETTINGS)
        np.testing.assert_allclose(scenario.curve.error, curve.error, rtol=1e-9)
        assert scenario.interval == curve.within(0.05)
    assert (advice.on_panel.curve.floor > advice.full.curve.floor).all()  # less is seen


def test_the_compromise_has_the_least_larger_cost_of_all_fixed_ratios(either: theory.Recommendation) -> None:
    ratio, cost = either.compromise
    errors = [s.curve.error / s.curve.least - 1 for s in (either.full, either.on_panel)]
    spoilt = either.full.curve.near_peak | either.on_panel.curve.near_peak
    worst = np.where(spoilt, np.inf, np.maximum(*errors))
    assert cost == pytest.approx(worst.min())
    assert worst[either.full.curve.ratios == ratio] == pytest.approx(cost)


def test_numbers_of_the_data_are_kept(
    advice: theory.Recommendation, few: theory.Recommendation, eigen: theory.Eigendecomposition
) -> None:
    d = eigen.n_features
    assert (advice.n_cells, advice.n_genes, advice.panel) == (N, d, PANEL)
    assert advice.peak == pytest.approx((d - 1) / N)
    assert few.peak > 1
    assert advice.effective_rank == pytest.approx(eigen.values.sum() ** 2 / (eigen.values**2).sum())
    for name in ("best_full", "best_panel", "cost_full", "cost_panel"):
        assert advice.bootstrap[name].shape == (3,)
    assert few.bootstrap == {}


def test_bootstrap_keeps_the_law_and_moves_the_spectrum(
    advice: theory.Recommendation, eigen: theory.Eigendecomposition, samples: np.ndarray
) -> None:
    for i, values in enumerate(samples):
        moved = replace(eigen, values=values)
        curve = theory.risk_curve(moved, n=N, ratios=RATIOS[::2], algebra="eigenbasis", **SETTINGS)
        law = theory.autoencoder_risk(moved, n=N, mask_ratio=advice.law, algebra="eigenbasis", **SETTINGS)
        assert advice.bootstrap["best_full"][i] == curve.best
        assert advice.bootstrap["cost_full"][i] == pytest.approx(law.prediction_error / curve.least - 1, abs=1e-9)


def test_the_verdict_names_the_law_and_the_best_ratios(either: theory.Recommendation) -> None:
    low, high = either.law
    assert f"Uniform({low:g}, {high:g})" in either.verdict
    for scenario in (either.full, either.on_panel):
        assert f"best fixed ratio {scenario.curve.best:.2f}" in either.verdict
        first, last = scenario.interval
        assert re.search(rf"from {first:.2f}( or less)? to {last:.2f}( or more)?; ", either.verdict)
    assert f"{either.n_genes} genes" in either.verdict
    assert f"{either.n_cells} training cells" in either.verdict
    assert f"on {PANEL:.0%} of the genes" in either.verdict
    assert f"{either.compromise[0]:.2f}" in either.verdict
    assert "linear model's advice" in either.verdict
    assert ("interpolation peak" in either.verdict) == (either.peak < 1)
    assert ("bootstrap samples" in either.verdict) == bool(either.bootstrap)
    assert either.verdict in repr(either)


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (0.034, "the random ratio does not help here, it costs 3.4%"),
        (0.002, "the random ratio neither helps nor costs"),
        (-0.002, "the random ratio neither helps nor costs"),
        (-0.05, "the random ratio is 5.0% better"),
    ],
)
def test_the_verdict_says_in_words_whether_the_random_ratio_helps(cost: float, words: str, advice: theory.Recommendation) -> None:
    for name in ("full", "panel"):
        other = "panel" if name == "full" else "full"
        verdict = replace(advice, cost={name: cost, other: 0.5}).verdict
        assert words in verdict
        assert "costs 50.0%" in verdict


def test_the_verdict_weighs_the_law_against_one_fixed_ratio(advice: theory.Recommendation) -> None:
    spared = replace(advice, compromise=(0.4, 0.3), cost={"full": 0.02, "panel": 0.05}).verdict
    assert re.search(r"No fixed ratio serves both: the best compromise, 0\.40, costs 30\.0% .* the random ratio 5\.0%", spared)
    served = replace(advice, compromise=(0.4, 0.02), cost={"full": 0.02, "panel": 0.05}).verdict
    assert "A fixed ratio of 0.40 serves both at a cost of 2.0%, the random ratio at 5.0%" in served


def test_the_verdict_says_why_the_law_is_chosen(either: theory.Recommendation) -> None:
    low, high = either.law
    assert (
        f"Uniform({low:g}, {high:g}), the widest of the laws whose larger cost is within 1 percentage point of the least."
        in either.verdict
    )


@pytest.mark.parametrize(
    ("error", "interval", "words"),
    [
        (
            (3, 2, 1),
            (0.95, 0.95),
            "0.95 or more (90% of bootstrap samples 0.95 or more), no other that was tried within 5% of it;",
        ),
        (
            (1, 2, 3),
            (0.05, 0.05),
            "0.05 or less (90% of bootstrap samples 0.05 or less), no other that was tried within 5% of it;",
        ),
        ((3, 1, 1.04), (0.5, 0.95), "0.50 (90% of bootstrap samples 0.50), within 5% of it from 0.50 to 0.95 or more;"),
        (
            (1.02, 1, 1.04),
            (0.05, 0.95),
            "0.50 (90% of bootstrap samples 0.50), within 5% of it from 0.05 or less to 0.95 or more;",
        ),
    ],
)
def test_the_verdict_leaves_open_what_lies_beyond_the_ratios(
    error: tuple[float, ...], interval: tuple[float, float], words: str, advice: theory.Recommendation
) -> None:
    none = np.zeros(3, bool)
    curve = replace(
        advice.full.curve, ratios=np.array([0.05, 0.5, 0.95]), error=np.array(error, float), near_peak=none, heavy_tailed=none
    )
    assert curve.within(0.05) == interval
    scenario = replace(advice.full, curve=curve, interval=interval)
    best = np.full(3, curve.best)
    changed = replace(
        advice, full=scenario, on_panel=scenario, bootstrap={**advice.bootstrap, "best_full": best, "best_panel": best}
    )
    assert changed.verdict.count(f"best fixed ratio {words}") == 2


def test_what_is_stored_is_numbers_text_and_arrays(advice: theory.Recommendation) -> None:
    stored = advice.to_uns()
    assert stored["verdict"] == advice.verdict
    np.testing.assert_array_equal(stored["law"], advice.law)
    assert stored["cost"] == advice.cost
    for name, scenario in (("full", advice.full), ("panel", advice.on_panel)):
        np.testing.assert_array_equal(stored[name]["error"], scenario.curve.error)
        np.testing.assert_array_equal(stored[name]["interval"], scenario.interval)
        assert stored[name]["best"] == scenario.curve.best


@pytest.mark.parametrize("panel", [0, 1, -0.1, 1.5, float("nan")])
def test_a_panel_is_a_share(panel: float, eigen: theory.Eigendecomposition) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        theory.recommend(eigen, n=N, panel=panel)


def test_bad_input_is_refused(eigen: theory.Eigendecomposition) -> None:
    with pytest.raises(ConfigError, match="n is 0"):
        theory.recommend(eigen, n=0)
    with pytest.raises(DataError, match="needs eigenvectors"):
        theory.recommend(replace(eigen, vectors=None), n=N)


@pytest.mark.parametrize(
    "change", [lambda v: v, lambda v: v[None, :-1], lambda v: v[None][:0], lambda v: -v[None], lambda v: v[None] * np.nan]
)
def test_samples_of_eigenvalues_fit_the_matrix(
    change: Callable[[np.ndarray], np.ndarray], eigen: theory.Eigendecomposition
) -> None:
    with pytest.raises(DataError, match="eigenvalue_samples has the shape"):
        theory.recommend(eigen, n=N, eigenvalue_samples=change(eigen.values))


@pytest.fixture(scope="module")
def fresh(eigen: theory.Eigendecomposition, samples: np.ndarray) -> theory.Recommendation:
    return theory.recommend(eigen, n=N, panel=PANEL, eigenvalue_samples=samples)


def test_fresh_masks_are_the_default_and_their_own_risk(fresh: theory.Recommendation, eigen: theory.Eigendecomposition) -> None:
    for scenario, test in ((fresh.full, None), (fresh.on_panel, 1 - PANEL)):
        for i in range(0, RATIOS.size, 6):
            risk = theory.fresh_mask_risk(eigen, n=N, mask_ratio=float(RATIOS[i]), test=test)
            assert scenario.curve.error[i] == pytest.approx(risk.error, rel=1e-3)
            assert scenario.curve.floor[i] == pytest.approx(risk.floor, rel=1e-3)
            assert scenario.curve.bias[i] == pytest.approx(risk.bias, abs=0.02 * risk.error)
        for law, error in zip(candidates()[::7], scenario.laws[::7], strict=True):
            assert error == pytest.approx(theory.fresh_mask_risk(eigen, n=N, mask_ratio=law, test=test).error, rel=1e-3)
    assert (fresh.masks, fresh.evidence, fresh.peak) == ("fresh", "theory", np.inf)
    assert "fresh masks" in fresh.verdict
    assert "interpolation peak" not in fresh.verdict
    assert fresh.to_uns()["masks"] == "fresh"


def test_fresh_bootstrap_moves_the_spectrum(
    fresh: theory.Recommendation, eigen: theory.Eigendecomposition, samples: np.ndarray
) -> None:
    for i, values in enumerate(samples):
        moved = theory.recommend(replace(eigen, values=values), n=N, panel=PANEL)
        assert fresh.bootstrap["best_full"][i] == moved.full.curve.best
        assert fresh.bootstrap["cost_panel"][i] == pytest.approx(moved.on_panel.costs[candidates().index(fresh.law)])


def test_fresh_masks_take_factors_and_no_settings(eigen: theory.Eigendecomposition) -> None:
    L = np.random.default_rng(0).uniform(-0.4, 0.4, (500, 4))
    factors = theory.FactorCorrelation(L, 1 - (L**2).sum(1))
    assert theory.recommend(factors, n=200).n_genes == 500
    with pytest.raises(DataError, match="'single' needs"):
        theory.recommend(factors, n=200, masks="single")
    with pytest.raises(ConfigError, match="rescale"):
        theory.recommend(eigen, n=N, rescale=False)
    with pytest.raises(ConfigError, match="masks is 'both'"):
        theory.recommend(eigen, n=N, masks="both")
