"""What a model says of variants: haplotypes, likelihoods, distances, the way to a file."""

from __future__ import annotations
