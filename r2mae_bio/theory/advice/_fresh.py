"""Advice from fresh masks: the risk as a function of one number, the level of a law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from r2mae_bio.theory.advice._curve import RATIOS, RiskCurve
from r2mae_bio.theory.advice._report import TOLERANCE, Scenario, candidates
from r2mae_bio.theory.risk._fresh_masks import mask_level, risk_at_level
from r2mae_bio.theory.risk._risk import LARGEST_INFLATION

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._fresh_masks import Resolvent
    from r2mae_bio.theory.risk._groups import Float

N_LEVELS = 18
"""Levels at which the risk is computed; between them its logarithm is interpolated."""
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class LevelCurve:
    """Risk at K levels of masking, for one kind of test cell."""

    levels: Float
    """Ascending (K,)."""
    error: Float
    """Prediction error (K,)."""
    parts: Float
    """Bias and variance (2, K)."""
    floor: Float
    """Error of the best linear predictor on the test input (K,)."""
    inflation: Float
    """By how much n cells inflate the unmasked error (K,)."""

    def moved(self, error: Float, to: LevelCurve) -> LevelCurve:
        """The curve whose errors were measured, taken to another number of cells: measured times
        predicted there over predicted here (``self``). The floor is moved likewise at the best
        level; bias and variance share the rest as predicted there.
        """
        factor = error / self.error
        moved = to.error * factor
        best = int(np.argmin(moved))
        floor = np.full(moved.size, to.floor[best] * factor[best])
        share = to.bias_share
        return LevelCurve(self.levels, moved, np.stack([share, 1 - share]) * (moved - floor), floor, to.inflation)

    @property
    def bias_share(self) -> Float:
        """Share of the bias in what exceeds the floor (K,)."""
        bias, variance = self.parts
        return np.asarray(bias / np.maximum(bias + variance, _TINY))

    def curve(self, ratios: Float, levels: Float) -> RiskCurve:
        """Risk at fixed ratios of given levels (R,)."""
        x, y = np.log(self.levels), np.log(levels)
        error, floor = self.at(levels), CubicSpline(x, self.floor)(y)
        bias = np.clip(CubicSpline(x, self.bias_share)(y), 0, 1) * (error - floor)
        near_peak = CubicSpline(x, self.inflation)(y) > LARGEST_INFLATION
        return RiskCurve(ratios, error, bias, error - floor - bias, floor, near_peak, np.zeros(error.size, bool))

    def at(self, levels: Float) -> Float:
        """Error at other levels (M,)."""
        return np.asarray(np.exp(CubicSpline(np.log(self.levels), np.log(self.error))(np.log(levels))))


def level_nodes(n_features: int) -> Float:
    """Levels from the least to the greatest of all ratios and laws (K,)."""
    asked = np.concatenate([_fixed_levels(), _law_levels(n_features)])
    return np.geomspace(asked.min(), asked.max(), N_LEVELS)


def predicted(model: Resolvent, n: float, levels: Float, seen: float) -> LevelCurve:
    """What the theory says of n cells."""
    risks = [risk_at_level(model, n, float(level), seen) for level in levels]
    error, bias, variance, floor, inflation = (
        np.array([getattr(r, name) for r in risks]) for name in ("error", "bias", "variance", "floor", "inflation")
    )
    return LevelCurve(levels, error, np.stack([bias, variance]), floor, inflation)


def scenario_of(curve: LevelCurve, n_features: int) -> Scenario:
    """Risk at the fixed ratios of a curve and for every candidate law."""
    risks = curve.curve(RATIOS, _fixed_levels())
    return Scenario(risks, risks.within(TOLERANCE), curve.at(_law_levels(n_features)))


def _fixed_levels() -> Float:
    return np.asarray(RATIOS / (1 - RATIOS))


def _law_levels(n_features: int) -> Float:
    return np.array([mask_level(law, n_features) for law in candidates()])
