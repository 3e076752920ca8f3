"""Risk with fresh masks: against fitted predictors, against the general theory, and for factors."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Fixed, Uniform
from r2mae_bio.theory.risk._fresh_masks import as_resolvent, mask_level

D = 100


@pytest.fixture(scope="module")
def genes() -> np.ndarray:
    return theory.programme_covariance(D, 6, seed=0)


def measured(S: np.ndarray, n: int, ratio: float, seen: float, draws: int = 20) -> float:
    """Mean true error of predictors fitted to samples."""
    rng, chol = np.random.default_rng(0), np.linalg.cholesky(S)
    errors = []
    for _ in range(draws):
        x = rng.standard_normal((n, len(S))) @ chol.T
        B = theory.joint_predictor(x.T @ x / n, mask_ratio=ratio)
        A = np.eye(len(S)) - B
        errors.append((np.einsum("ij,ij->", A, S @ A) + seen * (B**2).sum()) / len(S))
    return float(np.mean(errors))


@pytest.mark.parametrize("n", [50, 100, 400])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("test", [None, 0.9])
def test_what_n_cells_do_is_what_fitted_predictors_do(genes: np.ndarray, n: int, ratio: float, test: float | None) -> None:
    """Within 3%; with half as many cells as genes, of which samples differ in variance, within
    5%.
    """
    risk = theory.fresh_mask_risk(genes, n=n, mask_ratio=ratio, test=test)
    found = measured(genes, n, ratio, 0.0 if test is None else test / (1 - test))
    assert risk.error == pytest.approx(found, rel=0.05 if n < D else 0.03)


def test_endless_cells_are_the_population(genes: np.ndarray) -> None:
    for ratio, test in ((0.3, None), (0.7, 0.5)):
        B = theory.joint_predictor(genes, mask_ratio=ratio)
        A = np.eye(D) - B
        seen = 0.0 if test is None else test / (1 - test)
        exact = (np.einsum("ij,ij->", A, genes @ A) + seen * (B**2).sum()) / D
        risk = theory.fresh_mask_risk(genes, n=np.inf, mask_ratio=ratio, test=test)
        assert risk.error == pytest.approx(exact, rel=1e-9)
        assert (risk.variance, risk.penalty) == (0, risk.level)
    at_test = theory.fresh_mask_risk(genes, n=np.inf, mask_ratio=0.6, test=0.6)
    assert at_test.bias == pytest.approx(0, abs=1e-9)  # trained for the very test, nothing is better


@pytest.mark.parametrize("n", [50, 300])
def test_it_is_the_general_theory_with_a_ridge_and_hardly_a_mask(genes: np.ndarray, n: int) -> None:
    few = 1e-6
    for ratio, test in ((0.2, None), (0.6, 0.9)):
        risk = theory.fresh_mask_risk(genes, n=n, mask_ratio=ratio, test=test)
        ridge = {"mask_ratio": few, "ridge": ratio / (1 - ratio), "finite_size": False, "algebra": "exact"}
        other = theory.autoencoder_risk(genes, n=n / few, test=test, **ridge)
        assert risk.error == pytest.approx(other.prediction_error, rel=0.01)
        assert risk.bias == pytest.approx(other.bias, abs=0.01)
        assert risk.floor == pytest.approx(other.irreducible + other.noise, rel=1e-6)


def test_parts_add_up_and_the_penalty_solves_its_equation(genes: np.ndarray) -> None:
    risk = theory.fresh_mask_risk(theory.decompose(genes), n=70, mask_ratio=(0.1, 0.9), test=0.5)
    assert risk.error == pytest.approx(risk.bias + risk.variance + risk.floor)
    freedom = np.trace(genes @ np.linalg.inv(genes + risk.penalty * np.eye(D)))
    assert risk.penalty * (1 - freedom / 70) == pytest.approx(risk.level, rel=1e-8)
    assert risk.level < risk.penalty < risk.level + D / 70
    assert risk.inflation > 1


def test_factors_are_the_matrix_they_stand_for() -> None:
    rng = np.random.default_rng(0)
    L = rng.uniform(-0.4, 0.4, (D, 5))
    factors = theory.FactorCorrelation(L, 1 - (L**2).sum(1))
    S = L @ L.T + np.diag(factors.unique)
    for settings in ({"n": 60, "mask_ratio": 0.4}, {"n": np.inf, "mask_ratio": (0, 1), "test": 0.9}):
        a, b = (theory.fresh_mask_risk(x, **settings) for x in (factors, S))
        for name in ("error", "bias", "variance", "floor", "level", "penalty", "inflation"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-6, abs=1e-9)
    assert factors.effective_rank == pytest.approx(theory.decompose(S).effective_rank)


@pytest.mark.parametrize("law", [(0.0, 1.0), (0.3, 0.9), (0.05, 0.5)])
def test_the_level_is_that_of_drawn_masks(law: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    hidden = np.clip(np.rint(rng.uniform(*law, 400_000) * D), 1, D - 1) / D
    drawn = (hidden**2 / (1 - hidden)).mean() / hidden.mean()
    assert mask_level(law, D) == pytest.approx(drawn, rel=0.02)
    assert mask_level(Uniform(*law), D) == pytest.approx(drawn, rel=0.1)
    assert mask_level(0.75, D) == mask_level(Fixed(0.75), D) == pytest.approx(3)


def test_what_is_no_problem_is_refused(genes: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="nothing is ever hidden"):
        theory.fresh_mask_risk(genes, n=50, mask_ratio=0.0)
    with pytest.raises(ConfigError, match="n is 0"):
        theory.fresh_mask_risk(genes, n=0, mask_ratio=0.5)
    with pytest.raises(DataError, match="needs eigenvectors"):
        as_resolvent(theory.decompose(np.ones(4)))
