"""Models: own weights and settings; AnnData, genomes or sequences in, arrays and tables out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.cells.model._classifier import CellClassifier
    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.dna.model._classifier import SequenceClassifier, finetune_sequences
    from r2mae_bio.dna.model._dna_mae import DNAMAE

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "cells.model._classifier": "CellClassifier",
        "cells.model._gene_mae": "GeneMAE",
        "dna.model._classifier": "SequenceClassifier finetune_sequences",
        "dna.model._dna_mae": "DNAMAE",
    },
)
