"""Mask ratios as laws, and mask plans as plain data."""

from __future__ import annotations

from r2mae_bio.masking._complementary import complementary_masks
from r2mae_bio.masking._plan import MaskPlan, draw_plan
from r2mae_bio.masking._ratio import (
    Beta,
    Choice,
    Fixed,
    LogUniformVisible,
    RatioLaw,
    Schedule,
    Scope,
    Uniform,
    as_ratio_law,
    ratio_law_from_json,
)

__all__ = [
    "Beta",
    "Choice",
    "Fixed",
    "LogUniformVisible",
    "MaskPlan",
    "RatioLaw",
    "Schedule",
    "Scope",
    "Uniform",
    "as_ratio_law",
    "complementary_masks",
    "draw_plan",
    "ratio_law_from_json",
]
