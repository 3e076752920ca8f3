"""Plots of a training run and of a data set. Every function returns Axes and shows nothing by itself."""

from __future__ import annotations

from r2mae_bio.pl._history import history
from r2mae_bio.pl._mask_ratios import mask_ratios
from r2mae_bio.pl._risk_curve import risk_curve
from r2mae_bio.pl._saturation import saturation
from r2mae_bio.pl._spectrum import spectrum

__all__ = ["history", "mask_ratios", "risk_curve", "saturation", "spectrum"]
