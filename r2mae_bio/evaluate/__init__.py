"""Honest tables: splits, panels, probes and controls; arrays in, tidy frame out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio._splits import Split, group_splits, stratified_split, stratified_splits
    from r2mae_bio.dna._protocols import SequenceModel
    from r2mae_bio.evaluate.methods._denoisers import MeanProfile, NoDenoising
    from r2mae_bio.evaluate.methods._embedder import (
        Annotation,
        Annotator,
        BatchAware,
        BatchCorrecting,
        Denoiser,
        Embedder,
        FittedAnnotator,
        FittedDenoiser,
        FittedEmbedder,
    )
    from r2mae_bio.evaluate.methods._gene_classifier import GeneClassifier
    from r2mae_bio.evaluate.methods._harmony import Harmony
    from r2mae_bio.evaluate.methods._linear_controls import FactorAnalysis, PCAZeroFill, ProbabilisticPCA
    from r2mae_bio.evaluate.methods._log_normalize import log_normalize
    from r2mae_bio.evaluate.methods._masked_autoencoder import FittedGeneMAE, MaskedAutoencoder
    from r2mae_bio.evaluate.methods._scvi import SCVI, FittedSCVI
    from r2mae_bio.evaluate.methods._scvi_transfer import SCANVI, SCArches
    from r2mae_bio.evaluate.methods._sequence_states import pool_states
    from r2mae_bio.evaluate.methods._simple_controls import HighlyVariableGenes, MajorityClass, Noise
    from r2mae_bio.evaluate.methods._small_cnn import SmallCNN
    from r2mae_bio.evaluate.methods._variable_genes import variable_panel
    from r2mae_bio.evaluate.report._compare import compare, default_methods
    from r2mae_bio.evaluate.report._result import ComparisonResult
    from r2mae_bio.evaluate.scores._calibration import expected_calibration_error
    from r2mae_bio.evaluate.scores._frame import summarize, to_markdown
    from r2mae_bio.evaluate.scores._integration_scores import integration_scores
    from r2mae_bio.evaluate.scores._interval_coverage import interval_coverage
    from r2mae_bio.evaluate.scores._paired import paired_differences
    from r2mae_bio.evaluate.scores._probe import FittedProbe, ProbeResult, fit_probe, probe
    from r2mae_bio.evaluate.tasks._choice import choose_method
    from r2mae_bio.evaluate.tasks._denoising import denoising
    from r2mae_bio.evaluate.tasks._depth_transfer import depth_transfer, thin_counts
    from r2mae_bio.evaluate.tasks._gene_panels import marker_panel, panel_mask
    from r2mae_bio.evaluate.tasks._group_transfer import label_transfer
    from r2mae_bio.evaluate.tasks._integration import integration, integration_baseline
    from r2mae_bio.evaluate.tasks._panel_transfer import panel_transfer
    from r2mae_bio.evaluate.tasks._sequence_probe import sequence_probe

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "_splits": "Split group_splits stratified_split stratified_splits",
        "dna._protocols": "SequenceModel",
        "evaluate.methods._denoisers": "MeanProfile NoDenoising",
        "evaluate.methods._embedder": (
            "Annotation Annotator BatchAware BatchCorrecting Denoiser Embedder FittedAnnotator FittedDenoiser FittedEmbedder"
        ),
        "evaluate.methods._gene_classifier": "GeneClassifier",
        "evaluate.methods._harmony": "Harmony",
        "evaluate.methods._linear_controls": "FactorAnalysis PCAZeroFill ProbabilisticPCA",
        "evaluate.methods._log_normalize": "log_normalize",
        "evaluate.methods._masked_autoencoder": "FittedGeneMAE MaskedAutoencoder",
        "evaluate.methods._scvi": "SCVI FittedSCVI",
        "evaluate.methods._scvi_transfer": "SCANVI SCArches",
        "evaluate.methods._sequence_states": "pool_states",
        "evaluate.methods._simple_controls": "HighlyVariableGenes MajorityClass Noise",
        "evaluate.methods._small_cnn": "SmallCNN",
        "evaluate.methods._variable_genes": "variable_panel",
        "evaluate.report._compare": "compare default_methods",
        "evaluate.report._result": "ComparisonResult",
        "evaluate.scores._calibration": "expected_calibration_error",
        "evaluate.scores._frame": "summarize to_markdown",
        "evaluate.scores._integration_scores": "integration_scores",
        "evaluate.scores._interval_coverage": "interval_coverage",
        "evaluate.scores._paired": "paired_differences",
        "evaluate.scores._probe": "FittedProbe ProbeResult fit_probe probe",
        "evaluate.tasks._choice": "choose_method",
        "evaluate.tasks._denoising": "denoising",
        "evaluate.tasks._depth_transfer": "depth_transfer thin_counts",
        "evaluate.tasks._gene_panels": "marker_panel panel_mask",
        "evaluate.tasks._group_transfer": "label_transfer",
        "evaluate.tasks._integration": "integration integration_baseline",
        "evaluate.tasks._panel_transfer": "panel_transfer",
        "evaluate.tasks._sequence_probe": "sequence_probe",
    },
)
