"""The curve of the risk against the ratio: its points, its best ratio, and the run of good ratios
around it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError

RATIOS = [0.1, 0.3, 0.45, 0.6, 0.9]


def curve_of(error: list[float], *, near_peak: tuple[int, ...] = (), heavy_tailed: tuple[int, ...] = ()) -> theory.RiskCurve:
    at = np.arange(len(error))
    zero = np.zeros(len(error))
    return theory.RiskCurve(
        ratios=(at + 1) / 10, error=np.array(error), bias=zero, variance=zero, floor=zero,
        near_peak=np.isin(at, near_peak), heavy_tailed=np.isin(at, heavy_tailed),
    )  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="default"),
        pytest.param({"test": 0.7, "calibrated": True}, id="masked test, calibrated"),
        pytest.param({"test": (0.1, 0.9), "rescale": False, "ridge": 0.1, "finite_size": False}, id="law of the test"),
        pytest.param({"genes": [3, 8], "row_scales": [0.5, 1.5], "algebra": "eigenbasis"}, id="two genes"),
    ],
)
def test_every_point_is_the_risk_at_its_ratio(settings: dict, correlation: np.ndarray) -> None:
    curve = theory.risk_curve(correlation, n=80, ratios=RATIOS, **settings)
    np.testing.assert_array_equal(curve.ratios, RATIOS)
    for i, p in enumerate(RATIOS):
        risk = theory.autoencoder_risk(correlation, n=80, mask_ratio=p, **settings)
        found = [getattr(curve, name)[i] for name in ("error", "bias", "variance", "floor", "near_peak", "heavy_tailed")]
        expected = [
            risk.prediction_error,
            risk.bias,
            risk.variance,
            risk.irreducible + risk.noise,
            risk.near_peak,
            risk.heavy_tailed,
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_parts_of_the_curve_add_up(correlation: np.ndarray) -> None:
    curve = theory.risk_curve(theory.decompose(correlation), n=80, test=0.5)
    np.testing.assert_allclose(curve.error, curve.bias + curve.variance + curve.floor, rtol=1e-10)
    assert (curve.ratios[0], curve.ratios[-1]) == (0.05, 0.95)
    np.testing.assert_allclose(np.diff(curve.ratios), 0.025)
    assert (np.diff(curve.floor) == 0).all()  # it belongs to the test input, which is the same everywhere


def test_the_best_ratio_has_the_least_error() -> None:
    curve = curve_of([5, 3, 2, 4])
    assert (curve.best, curve.least) == (pytest.approx(0.3), 2)


@pytest.mark.parametrize("flags", [{"near_peak": (2,)}, {"heavy_tailed": (2,)}, {"near_peak": (2,), "heavy_tailed": (3,)}])
def test_flagged_ratios_are_never_the_best(flags: dict) -> None:
    curve = curve_of([5, 3, 1, 2.5] if "heavy_tailed" in flags and "near_peak" in flags else [5, 3, 1, 4], **flags)
    assert (curve.best, curve.least) == (pytest.approx(0.2), 3)


def test_a_peak_is_never_the_best_of_a_computed_curve(correlation: np.ndarray) -> None:
    curve = theory.risk_curve(correlation, n=60)
    flagged = curve.near_peak | curve.heavy_tailed
    assert 0 < flagged.sum() < flagged.size
    assert not flagged[curve.ratios == curve.best].any()
    assert curve.least == curve.error[~flagged].min()
    hidden = replace(curve, heavy_tailed=curve.heavy_tailed | (curve.ratios == curve.best))
    assert hidden.best != curve.best
    assert hidden.least >= curve.least


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        pytest.param([9, 1.04, 1, 1.04, 9], (2, 4), id="inside"),
        pytest.param([1.04, 1.04, 1, 1.04, 1.04], (1, 5), id="everything"),
        pytest.param([9, 9, 1, 9, 9], (3, 3), id="one"),
        pytest.param([1, 1.04, 9, 9, 1.01], (1, 2), id="best first, a second valley left out"),
        pytest.param([1.01, 9, 9, 1.04, 1], (4, 5), id="best last, a second valley left out"),
        pytest.param([1.01, 9, 1, 9, 1.01], (3, 3), id="valleys on both sides left out"),
    ],
)
def test_the_run_of_good_ratios_is_contiguous_and_holds_the_best(error: list[float], ends: tuple[int, int]) -> None:
    low, high = curve_of(error).within(0.05)
    assert (low, high) == (pytest.approx(ends[0] / 10), pytest.approx(ends[1] / 10))


def test_a_wider_tolerance_gives_a_wider_run(correlation: np.ndarray) -> None:
    curve = theory.risk_curve(correlation, n=60)
    runs = [curve.within(t) for t in (0.0, 0.01, 0.05, 0.2)]
    assert runs[0] == (curve.best, curve.best)
    for (low, high), (lower, higher) in zip(runs, runs[1:], strict=False):
        assert lower <= low <= curve.best <= high <= higher
    low, high = runs[2]
    inside = (curve.ratios >= low) & (curve.ratios <= high)
    assert (curve.error[inside] <= 1.05 * curve.least).all()


@pytest.mark.parametrize("ratios", [[0.5, 0.3], [0.3, 0.3], [[0.3, 0.5]], []])
def test_ratios_must_ascend(ratios: list, correlation: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="ascending mask ratios"):
        theory.risk_curve(correlation, n=60, ratios=ratios)


@pytest.mark.parametrize("ratios", [[0.0, 0.5], [0.5, 1.0], [0.5, 1.5], [np.nan]])
def test_ratios_lie_between_zero_and_one(ratios: list, correlation: np.ndarray) -> None:
    with pytest.raises(ConfigError):
        theory.risk_curve(correlation, n=60, ratios=ratios)
