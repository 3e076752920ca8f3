"""From counts to the spectrum of a correlation matrix of genes."""

from __future__ import annotations
