"""Likelihoods of counts, of log-normalised expression and of bases, in nats."""

from __future__ import annotations

from r2mae_bio.likelihoods._bases import base_nll
from r2mae_bio.likelihoods._gene import (
    GENE_LIKELIHOODS,
    GeneLikelihood,
    GeneParams,
    NegativeBinomial,
    Normal,
    Poisson,
    ZeroInflatedNegativeBinomial,
    masked_nll,
)
from r2mae_bio.likelihoods._predictive import mean_and_variance, predictive_distribution, predictive_interval

__all__ = [
    "GENE_LIKELIHOODS",
    "GeneLikelihood",
    "GeneParams",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "ZeroInflatedNegativeBinomial",
    "base_nll",
    "masked_nll",
    "mean_and_variance",
    "predictive_distribution",
    "predictive_interval",
]
