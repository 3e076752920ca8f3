"""Honest tables: splits, panels, probes and controls; arrays in, tidy frame out."""

from __future__ import annotations

from r2mae_bio._splits import Split, group_splits, stratified_split, stratified_splits
from r2mae_bio.dna._protocols import SequenceModel
from r2mae_bio.evaluate.methods._denoisers import MeanProfile, NoDenoising
from r2mae_bio.evaluate.methods._embedder import BatchAware, BatchCorrecting, Denoiser, Embedder, FittedDenoiser, FittedEmbedder
from r2mae_bio.evaluate.methods._linear_controls import FactorAnalysis, Noise, PCAZeroFill, ProbabilisticPCA
from r2mae_bio.evaluate.methods._log_normalize import log_normalize
from r2mae_bio.evaluate.methods._masked_autoencoder import FittedGeneMAE, MaskedAutoencoder
from r2mae_bio.evaluate.methods._scvi import SCVI, FittedSCVI
from r2mae_bio.evaluate.methods._sequence_states import pool_states
from r2mae_bio.evaluate.methods._simple_controls import HighlyVariableGenes, MajorityClass
from r2mae_bio.evaluate.methods._small_cnn import SmallCNN
from r2mae_bio.evaluate.methods._variable_genes import variable_panel
from r2mae_bio.evaluate.report._compare import compare, default_methods
from r2mae_bio.evaluate.report._result import ComparisonResult
from r2mae_bio.evaluate.scores._calibration import expected_calibration_error
from r2mae_bio.evaluate.scores._frame import summarize, to_markdown
from r2mae_bio.evaluate.scores._interval_coverage import interval_coverage
from r2mae_bio.evaluate.scores._paired import paired_differences
from r2mae_bio.evaluate.scores._probe import FittedProbe, ProbeResult, fit_probe, probe
from r2mae_bio.evaluate.tasks._denoising import denoising
from r2mae_bio.evaluate.tasks._depth_transfer import depth_transfer, thin_counts
from r2mae_bio.evaluate.tasks._gene_panels import marker_panel, panel_mask
from r2mae_bio.evaluate.tasks._group_transfer import label_transfer
from r2mae_bio.evaluate.tasks._integration import integration, integration_baseline, integration_scores
from r2mae_bio.evaluate.tasks._panel_transfer import panel_transfer
from r2mae_bio.evaluate.tasks._sequence_probe import sequence_probe

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
