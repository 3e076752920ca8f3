"""Preprocessing verbs: check counts, align genes, say which were measured in which batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.pp._align_genes import align_genes
    from r2mae_bio.pp._check_counts import check_counts
    from r2mae_bio.pp._measured_by_batch import measured_by_batch

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "pp._align_genes": "align_genes",
        "pp._check_counts": "check_counts",
        "pp._measured_by_batch": "measured_by_batch",
    },
)
