"""Honest tables: splits, panels, probes and controls; arrays in, tidy frame out."""

from __future__ import annotations

from ._controls import FactorAnalysis, Noise, PCAZeroFill, ProbabilisticPCA
from ._embedder import Embedder, FittedEmbedder
from ._models import FittedGeneMAE, MaskedAutoencoder
from ._normalize import log_normalize
from ._panel import panel_transfer, summarize, to_markdown
from ._probe import FittedProbe, ProbeResult, fit_probe, probe
from ._sequence_probe import sequence_probe
from ._sequence_states import SequenceModel, pool_states
from ._small_cnn import SmallCNN
from ._split import Split, panel_mask, stratified_split

__all__ = [
    "Embedder",
    "FactorAnalysis",
    "FittedEmbedder",
    "FittedGeneMAE",
    "FittedProbe",
    "MaskedAutoencoder",
    "Noise",
    "PCAZeroFill",
    "ProbabilisticPCA",
    "ProbeResult",
    "SequenceModel",
    "SmallCNN",
    "Split",
    "fit_probe",
    "log_normalize",
    "panel_mask",
    "panel_transfer",
    "pool_states",
    "probe",
    "sequence_probe",
    "stratified_split",
    "summarize",
    "to_markdown",
]
