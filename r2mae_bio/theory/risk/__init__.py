"""Risk of masked regression: equivalents, corrections, closed forms."""

from __future__ import annotations
