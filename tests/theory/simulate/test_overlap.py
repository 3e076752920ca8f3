"""Overlap of subspaces in simulations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.simulate._overlap import filled_diagonal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
from .conftest import RANK, D, _factors


def test_many_masks_of_the_same_cells_come_to_the_predictor_of_their_second_moment() -> None:
    S, L = _factors(np.ones(8))
    many = theory.simulate_overlap(S, L, n=12, mask_ratio=0.5, masks_per_row=3000, draws=2)
    limit = theory.simulate_overlap(S, L, n=12, mask_ratio=0.5, masks_per_row=None, draws=2)
    for name in ("left", "right", "symmetrised", "whitened"):
        np.testing.assert_allclose(many.per_draw[name], limit.per_draw[name], atol=0.03, err_msg=name)


def test_filled_diagonal_recovers_a_low_rank_matrix() -> None:
    L = derive_generator(5, "test.joint").normal(size=(D, RANK))
    np.testing.assert_allclose(filled_diagonal(L @ L.T + np.diag(np.arange(D)), RANK), L @ L.T, atol=1e-3)


def test_overlap_of_subspaces() -> None:
    generator = derive_generator(6, "test.joint")
    L = generator.normal(size=(D, RANK))
    assert theory.subspace_overlap(L @ generator.normal(size=(RANK, RANK)), L) == pytest.approx(1)
    assert theory.subspace_overlap(np.eye(D)[:, :2], np.eye(D)[:, 2:5]) == 0
    random = [theory.subspace_overlap(generator.normal(size=(D, 5)), L) for _ in range(400)]
    assert np.mean(random) == pytest.approx(RANK / D, abs=4 * np.std(random) / 20)


def test_draws_are_a_function_of_the_seed(noisy: tuple[Float, Float]) -> None:
    first, again, other = (
        theory.simulate_overlap(*noisy, n=30, mask_ratio=(0.3, 0.9), draws=3, seed=seed).per_draw for seed in (1, 1, 2)
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["pca"], other["pca"])


def test_other_methods_see_the_same_cells(noisy: tuple[Float, Float]) -> None:
    def pca(rows: Float, rank: int) -> Float:
        return np.linalg.svd(rows)[2][:rank].T

    found = theory.simulate_overlap(*noisy, n=50, mask_ratio=0.5, draws=3, others={"svd": pca})
    np.testing.assert_allclose(found.per_draw["svd"], found.per_draw["pca"], rtol=1e-8)
    assert found.mean("svd") == found.per_draw["svd"].mean()
    assert found.standard_error("svd") == pytest.approx(np.std(found.per_draw["svd"], ddof=1) / np.sqrt(3))


def test_all_genes_alike_make_masking_and_pca_agree() -> None:
    """With one common communality B is a function of the sample covariance alone, up to
    fluctuations of its diagonal.
    """
    found = theory.simulate_overlap(*_alike(), n=400, mask_ratio=0.5, masks_per_row=None, draws=5)
    assert found.mean("symmetrised") == pytest.approx(found.mean("pca"), abs=0.01)


def test_noisy_genes_mislead_pca_only(noisy: tuple[Float, Float]) -> None:
    found = theory.simulate_overlap(*noisy, n=200, mask_ratio=0.9, masks_per_row=None, draws=8)
    margin = 4 * (found.standard_error("pca") + found.standard_error("right"))
    assert found.mean("right") > found.mean("pca") + margin


def _alike() -> tuple[Float, Float]:
    L = derive_generator(7, "test.joint").normal(size=(D, RANK))
    L /= np.sqrt(2) * np.linalg.norm(L, axis=1, keepdims=True)
    return L @ L.T + 0.5 * np.eye(D), L
