"""Data sets for examples, tests and benchmarks, and a registry of their files with checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.datasets._cells import (
        cell_lines_celseq2,
        cell_lines_dropseq,
        cord_blood,
        kidney,
        malaria,
        merfish_brain,
        pbmc68k,
    )
    from r2mae_bio.datasets._dna import ecoli_k12, gue_mouse_2, human_chr20, lambda_phage
    from r2mae_bio.datasets._registry import DatasetEntry, fetch, registry

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "datasets._cells": "cell_lines_celseq2 cell_lines_dropseq cord_blood kidney malaria merfish_brain pbmc68k",
        "datasets._dna": "ecoli_k12 gue_mouse_2 human_chr20 lambda_phage",
        "datasets._registry": "DatasetEntry fetch registry",
    },
)
