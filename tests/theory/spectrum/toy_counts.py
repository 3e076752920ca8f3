"""Toy counts, and rows of known covariance."""

from __future__ import annotations

import numpy as np


def draw_counts(n=150, genes=60, programmes=3, seed=0):
    """Counts of gene programmes on top of independent genes; two columns are empty and one gene is
    seen in two cells only.
    """
    rng = np.random.default_rng(seed)
    activity = rng.gamma(2.0, 0.5, (n, programmes))
    member = np.arange(genes) % (programmes + 1)
    rate = np.where(member < programmes, activity[:, np.minimum(member, programmes - 1)], 1.0) * rng.gamma(2.0, 1.0, genes)
    counts = rng.poisson(rate * rng.lognormal(0, 0.3, (n, 1)))
    counts[:, [4, 17]] = 0
    counts[:, 9] = np.arange(n) < 2
    counts[:, 0] += 1
    return counts


COUNTS = draw_counts()


def standardize(X):
    return (X - X.mean(0)) / X.std(0)


def normal_rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))
