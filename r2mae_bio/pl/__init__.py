"""Plots of a training run. Every function returns Axes and shows nothing by itself."""

from __future__ import annotations

from r2mae_bio.pl._history import history
from r2mae_bio.pl._mask_ratios import mask_ratios

__all__ = ["history", "mask_ratios"]
