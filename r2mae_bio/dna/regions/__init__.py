"""Intervals of a genome: BED files, splits, samplers, what two sets of sequences share."""

from __future__ import annotations
