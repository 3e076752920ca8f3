"""Noisy programmes of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]


D, RANK = 40, 3


def _factors(noise: Float, *, seed: int = 0) -> tuple[Float, Float]:
    """Covariance of genes with the given variance of their own, and loadings."""
    L = 0.7 * derive_generator(seed, "test.joint").normal(size=(noise.size, RANK))
    return L @ L.T + np.diag(noise), L


@pytest.fixture(scope="module")
def noisy() -> tuple[Float, Float]:
    """Genes whose own variance differs by a factor of 600: what misleads PCA."""
    return _factors(np.exp(np.linspace(-3, 3.5, D))[derive_generator(1, "test.joint").permutation(D)])
