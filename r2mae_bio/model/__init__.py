"""Models: own weights, vocabulary and configuration; AnnData in, arrays out."""

from __future__ import annotations

from r2mae_bio.model._gene import GeneMAE

__all__ = ["GeneMAE"]
