"""The joint predictor: normal equations and symmetries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import Uniform
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.simulate._joint import MaskNoise, fit_joint_predictor, joint_predictor_with_residuals
from r2mae_bio.theory.simulate._overlap import predictor_subspaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import MaskRatio

    Float = NDArray[np.float64]
from .conftest import RANK, D, _factors

LAWS = pytest.mark.parametrize("law", [0.15, 0.75, (0.3, 0.9), Uniform(0.1, 0.8)], ids=str)


# ---------------------------------------------------------------- the predictor


@LAWS
@pytest.mark.parametrize("rescale", [True, False])
def test_columns_solve_the_normal_equations_of_every_gene(unequal: Float, law: MaskRatio, *, rescale: bool) -> None:
    B = theory.joint_predictor(unequal, mask_ratio=law, rescale=rescale, ridge=0.3)
    groups = mask_groups(law, rescale=rescale, only_hidden=True)
    a, c, h = (groups.weight @ x for x in (groups.a, groups.c, groups.h))
    for j in (0, 7, D - 1):
        rest = np.arange(D) != j
        moment = (a * unequal + c * np.diag(np.diag(unequal)) + 0.3 * np.eye(D))[np.ix_(rest, rest)]
        np.testing.assert_allclose(B[rest, j], np.linalg.solve(moment, h * unequal[rest, j]), atol=1e-12)
        assert B[j, j] == 0


@LAWS
def test_a_random_ratio_has_the_predictor_of_a_fixed_one(correlation: Float, law: MaskRatio) -> None:
    noise = MaskNoise.of(law, rescale=True, ridge=0.0)
    fixed = theory.joint_predictor(correlation, mask_ratio=noise.level / (1 + noise.level))
    np.testing.assert_allclose(theory.joint_predictor(correlation, mask_ratio=law), fixed, atol=1e-12)


@pytest.mark.parametrize("rescale", [True, False])
def test_fit_on_many_cells_comes_to_the_limit(*, rescale: bool) -> None:
    S, _ = _factors(np.linspace(0.5, 2, 6))
    generator = derive_generator(3, "test.joint")
    n = 400_000
    rows = generator.normal(size=(n, 6)) @ np.linalg.cholesky(S).T
    ratios = generator.uniform(0.2, 0.8, n)
    hidden = generator.random((n, 6)) < ratios[:, None]
    masked = np.where(hidden, 0, rows / (1 - ratios[:, None] if rescale else 1))
    B = fit_joint_predictor(rows, masked, hidden)
    assert not np.diag(B).any()
    np.testing.assert_allclose(B, theory.joint_predictor(S, mask_ratio=(0.2, 0.8), rescale=rescale), atol=0.02)


def test_fit_of_a_gene_that_was_never_hidden_is_zero() -> None:
    rows = derive_generator(4, "test.joint").normal(size=(9, 4))
    hidden = np.tile([True, False, True, False], (9, 1))
    B = fit_joint_predictor(rows, np.where(hidden, 0, rows), hidden)
    assert not B[:, [1, 3]].any()
    assert B[[1, 3]][:, [0, 2]].all()


def test_predictor_of_independent_genes_is_zero() -> None:
    assert not theory.joint_predictor(np.diag([1.0, 2.0, 3.0]), mask_ratio=0.5).any()


# ---------------------------------------------------------------- subspaces in the limit


def test_outputs_span_the_programmes_and_inputs_do_not(noisy: tuple[Float, Float]) -> None:
    S, L = noisy
    B, T = joint_predictor_with_residuals(S, MaskNoise.of(0.5, rescale=True, ridge=0.0))
    overlap = {name: theory.subspace_overlap(basis, L) for name, basis in predictor_subspaces(B, T, RANK).items()}
    pca = theory.subspace_overlap(np.linalg.eigh(S)[1][:, -RANK:], L)
    assert min(overlap[name] for name in ("right", "scaled", "whitened")) > 0.98
    assert max(pca, overlap["left"]) < 0.95
    weighted = L / (np.diag(S - L @ L.T) + np.diag(S))[:, None]  # P L, with a level of 1
    assert theory.subspace_overlap(predictor_subspaces(B, T, RANK)["left"], weighted) > 0.98


def test_residual_variances_make_the_predictor_symmetric(unequal: Float) -> None:
    B, T = joint_predictor_with_residuals(unequal, MaskNoise.of((0.1, 0.9), rescale=False, ridge=0.2))
    np.testing.assert_allclose(T[:, None] * B, (T[:, None] * B).T, atol=1e-12)


# ---------------------------------------------------------------- bad input


def test_bad_input_is_named(correlation: Float) -> None:
    L = np.ones((D, 1))
    for function in (theory.simulate_overlap, theory.expected_overlap):
        with pytest.raises(DataError, match=r"programmes have shape \(3, 1\); needed are .* length 40"):
            function(correlation, L[:3], n=9, mask_ratio=0.5)
        with pytest.raises(DataError, match="linearly independent"):
            function(correlation, np.ones((D, 2)), n=9, mask_ratio=0.5)
        with pytest.raises(ConfigError, match="rank is 40; needed is a whole number from 1 to 39"):
            function(correlation, L, n=9, mask_ratio=0.5, rank=40)
        with pytest.raises(ConfigError, match="nothing is ever hidden"):
            function(correlation, L, n=9, mask_ratio=0.0)
    with pytest.raises(DataError, match="needs the square matrix"):
        theory.joint_predictor(np.ones(4), mask_ratio=0.5)
    with pytest.raises(ConfigError, match="readout is 'whitened'; needed is one of"):
        theory.expected_overlap(correlation, L, n=9, mask_ratio=0.5, readout="whitened")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="masks_per_row is 0"):
        theory.simulate_overlap(correlation, L, n=9, mask_ratio=0.5, masks_per_row=0)
