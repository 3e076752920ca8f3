"""Problems that several tests of the theory share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory

if TYPE_CHECKING:
    from numpy.typing import NDArray

D = 40


@pytest.fixture(scope="session")
def correlation() -> NDArray[np.float64]:
    """Overlapping gene programmes: no symmetry that could hide an error."""
    return theory.programme_covariance(D, 4, seed=1)


@pytest.fixture(scope="session")
def unequal() -> NDArray[np.float64]:
    """A covariance with unequal variances."""
    return 1.7 * theory.spiked_covariance(D, [6.0, 3.0], seed=2) + np.diag(np.linspace(0, 1, D))


@pytest.fixture(scope="session")
def coefficients() -> NDArray[np.float64]:
    return np.cos(np.arange(D)) / np.sqrt(D)
