"""Honest tables: splits, panels, probes and controls; arrays in, tidy frame out."""

from __future__ import annotations

from r2mae_bio.evaluate._baselines import HighlyVariableGenes, MajorityClass
from r2mae_bio.evaluate._calibration import expected_calibration_error
from r2mae_bio.evaluate._compare import ComparisonResult, compare, default_methods
from r2mae_bio.evaluate._controls import FactorAnalysis, Noise, PCAZeroFill, ProbabilisticPCA
from r2mae_bio.evaluate._coverage import interval_coverage
from r2mae_bio.evaluate._denoisers import MeanProfile, NoDenoising
from r2mae_bio.evaluate._denoising import denoising
from r2mae_bio.evaluate._depth import depth_transfer, thin_counts
from r2mae_bio.evaluate._embedder import BatchAware, BatchCorrecting, Denoiser, Embedder, FittedDenoiser, FittedEmbedder
from r2mae_bio.evaluate._frame import summarize, to_markdown
from r2mae_bio.evaluate._gene_panels import marker_panel, variable_panel
from r2mae_bio.evaluate._integration import integration, integration_baseline, integration_scores
from r2mae_bio.evaluate._label_transfer import label_transfer
from r2mae_bio.evaluate._models import FittedGeneMAE, MaskedAutoencoder
from r2mae_bio.evaluate._normalize import log_normalize
from r2mae_bio.evaluate._paired import paired_differences
from r2mae_bio.evaluate._panel import panel_transfer
from r2mae_bio.evaluate._probe import FittedProbe, ProbeResult, fit_probe, probe
from r2mae_bio.evaluate._scvi import SCVI, FittedSCVI
from r2mae_bio.evaluate._sequence_probe import sequence_probe
from r2mae_bio.evaluate._sequence_states import SequenceModel, pool_states
from r2mae_bio.evaluate._small_cnn import SmallCNN
from r2mae_bio.evaluate._split import Split, group_splits, panel_mask, stratified_split, stratified_splits

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
