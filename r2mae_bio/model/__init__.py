"""Models: own weights, vocabulary and configuration; AnnData in, arrays out."""

from __future__ import annotations

from r2mae_bio.model._cell_classifier import CellClassifier
from r2mae_bio.model._dna import DNAMAE
from r2mae_bio.model._gene import GeneMAE
from r2mae_bio.model._sequence_classifier import SequenceClassifier, finetune_sequences

__all__ = ["CellClassifier", "DNAMAE", "GeneMAE", "SequenceClassifier", "finetune_sequences"]
