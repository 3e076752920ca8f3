"""Likelihoods of counts and of log-normalised expression, in nats."""

from __future__ import annotations

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

__all__ = [
    "GENE_LIKELIHOODS",
    "GeneLikelihood",
    "GeneParams",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "ZeroInflatedNegativeBinomial",
    "masked_nll",
]
