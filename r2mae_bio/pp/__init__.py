"""Preprocessing verbs: check counts, align genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.pp._align_genes import align_genes
    from r2mae_bio.pp._check_counts import check_counts

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "pp._align_genes": "align_genes",
        "pp._check_counts": "check_counts",
    },
)
