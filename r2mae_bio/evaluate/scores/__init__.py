"""Arithmetic of scores: probes, calibration, coverage, paired differences, tables."""

from __future__ import annotations
