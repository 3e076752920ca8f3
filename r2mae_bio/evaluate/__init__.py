"""Honest tables: splits, panels, probes and controls; arrays in, tidy frame out."""

from __future__ import annotations

from ._baselines import HighlyVariableGenes, MajorityClass
from ._calibration import expected_calibration_error
from ._compare import ComparisonResult, compare, default_methods
from ._controls import FactorAnalysis, Noise, PCAZeroFill, ProbabilisticPCA
from ._coverage import interval_coverage
from ._denoisers import MeanProfile, NoDenoising
from ._denoising import denoising
from ._depth import depth_transfer, thin_counts
from ._embedder import BatchAware, BatchCorrecting, Denoiser, Embedder, FittedDenoiser, FittedEmbedder
from ._frame import summarize, to_markdown
from ._gene_panels import marker_panel, variable_panel
from ._integration import integration, integration_baseline, integration_scores
from ._label_transfer import label_transfer
from ._models import FittedGeneMAE, MaskedAutoencoder
from ._normalize import log_normalize
from ._paired import paired_differences
from ._panel import panel_transfer
from ._probe import FittedProbe, ProbeResult, fit_probe, probe
from ._scvi import SCVI, FittedSCVI
from ._sequence_probe import sequence_probe
from ._sequence_states import SequenceModel, pool_states
from ._small_cnn import SmallCNN
from ._split import Split, group_splits, panel_mask, stratified_split, stratified_splits

__all__ = [
    "BatchAware",
    "BatchCorrecting",
    "ComparisonResult",
    "Denoiser",
    "Embedder",
    "FactorAnalysis",
    "FittedDenoiser",
    "FittedEmbedder",
    "FittedGeneMAE",
    "FittedProbe",
    "FittedSCVI",
    "HighlyVariableGenes",
    "MajorityClass",
    "MaskedAutoencoder",
    "MeanProfile",
    "NoDenoising",
    "Noise",
    "PCAZeroFill",
    "ProbabilisticPCA",
    "ProbeResult",
    "SCVI",
    "SequenceModel",
    "SmallCNN",
    "Split",
    "compare",
    "default_methods",
    "denoising",
    "depth_transfer",
    "expected_calibration_error",
    "fit_probe",
    "group_splits",
    "integration",
    "integration_baseline",
    "integration_scores",
    "interval_coverage",
    "label_transfer",
    "log_normalize",
    "marker_panel",
    "paired_differences",
    "panel_mask",
    "panel_transfer",
    "pool_states",
    "probe",
    "sequence_probe",
    "stratified_split",
    "stratified_splits",
    "summarize",
    "thin_counts",
    "to_markdown",
    "variable_panel",
]
