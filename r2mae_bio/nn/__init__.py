"""Networks: tensors in, tensors out. No AnnData, no training loop, no random state of their own."""

from __future__ import annotations

from r2mae_bio.nn._batch_effects import BatchEffects
from r2mae_bio.nn._block import TransformerBlock
from r2mae_bio.nn._cell_classifier import CellClassifierNetwork
from r2mae_bio.nn._classifier import SequenceClassifierHead, SequenceClassifierNetwork, SequenceEncoder
from r2mae_bio.nn._content import Exposure, GeneContent, GeneStatistics
from r2mae_bio.nn._decoder import GeneDecoder
from r2mae_bio.nn._dna import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.nn._encoder import GeneTransformer, MLPEncoder
from r2mae_bio.nn._linear_reading import LinearReading
from r2mae_bio.nn._mae import GeneMaskedAutoencoder
from r2mae_bio.nn._read import LeastSquaresRead
from r2mae_bio.nn._start import start_from_factors

__all__ = [
    "BatchEffects",
    "CellClassifierNetwork",
    "DNAMaskedAutoencoder",
    "Exposure",
    "GeneContent",
    "GeneDecoder",
    "GeneMaskedAutoencoder",
    "GeneStatistics",
    "GeneTransformer",
    "LeastSquaresRead",
    "LinearReading",
    "MLPEncoder",
    "SequenceClassifierHead",
    "SequenceClassifierNetwork",
    "SequenceEncoder",
    "TransformerBlock",
    "base_tokens",
    "start_from_factors",
]
