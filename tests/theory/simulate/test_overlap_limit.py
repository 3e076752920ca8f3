"""The theory of the overlap against simulation, closed forms and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.theory.simulate._joint import MaskNoise, joint_predictor_with_residuals
from r2mae_bio.theory.simulate._overlap import predictor_subspaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import MaskRatio
    from r2mae_bio.theory.simulate._overlap_limit import Readout

    Float = NDArray[np.float64]
from .conftest import RANK, D


@pytest.mark.parametrize("readout", ["symmetrised", "right", "left", "pca"])
def test_theory_agrees_with_simulation(noisy: tuple[Float, Float], readout: Readout) -> None:
    """At d = 40 the fluctuation of residual variances still costs the theory up to 2%."""
    n = 3 * D
    found = theory.simulate_overlap(*noisy, n=n, mask_ratio=0.8, masks_per_row=None, draws=40, seed=2)
    expected = theory.expected_overlap(*noisy, n=n, mask_ratio=0.8, readout=readout)
    assert expected == pytest.approx(found.mean(readout), abs=0.02 + 4 * found.standard_error(readout))


@pytest.mark.parametrize("law", [0.1, (0.3, 0.9)])
def test_theory_agrees_with_simulation_with_fewer_cells_than_genes(noisy: tuple[Float, Float], law: MaskRatio) -> None:
    found = theory.simulate_overlap(*noisy, n=D // 2, mask_ratio=law, masks_per_row=None, draws=40)
    expected = theory.expected_overlap(*noisy, n=D // 2, mask_ratio=law)
    assert expected == pytest.approx(found.mean("symmetrised"), abs=0.03 + 4 * found.standard_error("symmetrised"))


@pytest.mark.parametrize("readout", ["symmetrised", "right", "left", "pca"])
def test_theory_comes_to_the_limit_of_many_cells(noisy: tuple[Float, Float], readout: Readout) -> None:
    S, L = noisy
    B, T = joint_predictor_with_residuals(S, MaskNoise.of(0.4, rescale=True, ridge=0.1))
    bases = predictor_subspaces(B, T, RANK) | {"pca": np.linalg.eigh(S)[1][:, -RANK:]}
    expected = theory.expected_overlap(S, L, n=10**7, mask_ratio=0.4, ridge=0.1, readout=readout)
    assert expected == pytest.approx(theory.subspace_overlap(bases[readout], L), abs=0.01)


def test_pca_of_one_spike_has_its_closed_form() -> None:
    """Paul 2007: ``(1 - y / l^2) / (1 + y / l)`` for a spike 1 + l and y = d / n."""
    d, n, strength = 80, 40, 4.0
    u = np.full((d, 1), 1 / np.sqrt(d))
    y = d / n
    expected = theory.expected_overlap(np.eye(d) + strength * u @ u.T, u, n=n, mask_ratio=0.5, readout="pca")
    assert expected == pytest.approx((1 - y / strength**2) / (1 + y / strength), abs=0.02)
