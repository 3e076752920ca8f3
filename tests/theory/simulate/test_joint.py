"""The joint predictor: normal equations, symmetries, and the theory of its subspaces against
simulation.
"""

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
from r2mae_bio.theory.simulate._overlap import filled_diagonal, predictor_subspaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import MaskRatio
    from r2mae_bio.theory.simulate._overlap_limit import Readout

    Float = NDArray[np.float64]

D, RANK = 40, 3
LAWS = pytest.mark.parametrize("law", [0.15, 0.75, (0.3, 0.9), Uniform(0.1, 0.8)], ids=str)


def _factors(noise: Float, *, seed: int = 0) -> tuple[Float, Float]:
    """Covariance of genes with the given variance of their own, and loadings."""
    L = 0.7 * derive_generator(seed, "test.joint").normal(size=(noise.size, RANK))
    return L @ L.T + np.diag(noise), L


@pytest.fixture(scope="module")
def noisy() -> tuple[Float, Float]:
    """Genes whose own variance differs by a factor of 600: what misleads PCA."""
    return _factors(np.exp(np.linspace(-3, 3.5, D))[derive_generator(1, "test.joint").permutation(D)])


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


def test_many_masks_of_the_same_cells_come_to_the_predictor_of_their_second_moment() -> None:
    S, L = _factors(np.ones(8))
    many = theory.simulate_overlap(S, L, n=12, mask_ratio=0.5, masks_per_row=3000, draws=2)
    limit = theory.simulate_overlap(S, L, n=12, mask_ratio=0.5, masks_per_row=None, draws=2)
    for name in ("left", "right", "symmetrised", "whitened"):
        np.testing.assert_allclose(many.per_draw[name], limit.per_draw[name], atol=0.03, err_msg=name)


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


# ---------------------------------------------------------------- simulation


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


# ---------------------------------------------------------------- theory of the overlap


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
