"""The linear theory of mask-based pretraining: test risk of minimum-norm regression on masked
inputs.

For a fixed mask ratio and for any law of a random one, with one target (:func:`regression_risk`) or
with every gene predicted where it is hidden (:func:`autoencoder_risk`). NumPy and SciPy alone. What
the theory says of a data set is advice: it knows the spectrum of the genes, not the network.
"""

from __future__ import annotations

from r2mae_bio.theory.advice._advice import recommend_mask_ratio
from r2mae_bio.theory.advice._curve import RiskCurve, risk_curve
from r2mae_bio.theory.advice._recommend import recommend
from r2mae_bio.theory.advice._report import Recommendation, Scenario
from r2mae_bio.theory.risk._autoencoder import AutoencoderRisk, autoencoder_risk
from r2mae_bio.theory.risk._closed_forms import (
    ClosedForm,
    high_ratio_risk,
    isotropic_risk,
    one_spike_risk,
    peak_ratio,
    ridgeless_risk,
)
from r2mae_bio.theory.risk._covariances import (
    ar1_covariance,
    block_covariance,
    equicorrelated_covariance,
    isotropic_covariance,
    latent_factor_covariance,
    power_law_covariance,
    programme_covariance,
    spiked_covariance,
)
from r2mae_bio.theory.risk._decompose import Eigendecomposition, decompose
from r2mae_bio.theory.risk._fresh_masks import FactorCorrelation, FreshMaskRisk, fresh_mask_risk
from r2mae_bio.theory.risk._population import latent_factor_population_risk, population_risk
from r2mae_bio.theory.risk._risk import Panel, Risk, regression_risk
from r2mae_bio.theory.simulate._joint import joint_predictor
from r2mae_bio.theory.simulate._overlap import Overlaps, simulate_overlap, subspace_overlap
from r2mae_bio.theory.simulate._overlap_limit import expected_overlap
from r2mae_bio.theory.simulate._simulate import Simulation, simulate_autoencoder_risk, simulate_risk
from r2mae_bio.theory.spectrum._factors import factor_correlation
from r2mae_bio.theory.spectrum._gene_spectrum import Spectrum, gene_spectrum
from r2mae_bio.theory.spectrum._normalize import NormalizedCounts, PearsonResiduals, normalize_counts
from r2mae_bio.theory.spectrum._shrinkage import gene_correlation
from r2mae_bio.theory.spectrum._spikes import NoiseEdge, PowerLaw

__all__ = [
    "AutoencoderRisk",
    "ClosedForm",
    "Eigendecomposition",
    "FactorCorrelation",
    "FreshMaskRisk",
    "NoiseEdge",
    "NormalizedCounts",
    "Overlaps",
    "Panel",
    "PearsonResiduals",
    "PowerLaw",
    "Recommendation",
    "Risk",
    "RiskCurve",
    "Scenario",
    "Simulation",
    "Spectrum",
    "ar1_covariance",
    "autoencoder_risk",
    "block_covariance",
    "decompose",
    "equicorrelated_covariance",
    "expected_overlap",
    "factor_correlation",
    "fresh_mask_risk",
    "gene_correlation",
    "gene_spectrum",
    "high_ratio_risk",
    "isotropic_covariance",
    "isotropic_risk",
    "joint_predictor",
    "latent_factor_covariance",
    "latent_factor_population_risk",
    "normalize_counts",
    "one_spike_risk",
    "peak_ratio",
    "population_risk",
    "power_law_covariance",
    "programme_covariance",
    "recommend",
    "recommend_mask_ratio",
    "regression_risk",
    "ridgeless_risk",
    "risk_curve",
    "simulate_autoencoder_risk",
    "simulate_overlap",
    "simulate_risk",
    "spiked_covariance",
    "subspace_overlap",
]
