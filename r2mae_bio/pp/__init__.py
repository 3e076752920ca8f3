"""Preprocessing verbs: check counts, align genes."""

from __future__ import annotations

from r2mae_bio.pp._align_genes import align_genes
from r2mae_bio.pp._check_counts import check_counts

__all__ = ["align_genes", "check_counts"]
