"""The masked linear autoencoder: algebra against brute force, its peak, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Choice, Uniform
from r2mae_bio.theory import autoencoder_risk, regression_risk
from r2mae_bio.theory.risk._groups import ratio_nodes

D = 40
GENES = [0, 7, 31]


def _brute_force(S: np.ndarray, j: int, n: float, mask_ratio: object, **options: object) -> theory.Risk:
    """Gene j deleted, regressed on the others in the rows in which it is hidden; in units of its
    variance.
    """
    ratios, weights = ratio_nodes(mask_ratio)
    others = np.delete(np.arange(D), j)
    inner, r = S[np.ix_(others, others)], S[others, j]
    b = np.linalg.solve(inner, r)
    scale = S[j, j]
    risk = regression_risk(
        inner, b / np.sqrt(scale), n=n * (weights @ ratios), noise_variance=(scale - r @ b) / scale,
        mask_ratio=Choice(tuple(ratios), tuple(weights * ratios)), method="dense", **options,
    )  # fmt: skip
    assert risk.converged
    return risk


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default"),
        pytest.param({"rescale": False}, id="not rescaled"),
        pytest.param({"ridge": 0.2}, id="ridge"),
        pytest.param({"row_scales": [0.5, 1.5]}, id="row scales"),
        pytest.param({"test": 0.6}, id="masked test"),
        pytest.param({"test": (0.1, 0.9), "rescale": False}, id="law of the test, not rescaled"),
    ],
)
@pytest.mark.parametrize("mask_ratio", [0.15, 0.7, Uniform(0.1, 0.9), Choice((0.0, 0.5, 0.8))], ids=str)
@pytest.mark.parametrize("n", [30, 300])
def test_leaving_one_out_equals_deleting_it(n: int, mask_ratio: object, options: dict, correlation: np.ndarray) -> None:
    risk = autoencoder_risk(
        3 * correlation, n=n, mask_ratio=mask_ratio, genes=GENES, finite_size=False, algebra="exact", **options
    )
    brute = [_brute_force(3 * correlation, j, n, mask_ratio, **options) for j in GENES]
    assert risk.converged
    np.testing.assert_allclose(risk.per_gene, [b.total for b in brute], rtol=1e-6)
    np.testing.assert_allclose(risk.per_gene_noise, [b.noise for b in brute], rtol=1e-8)
    for part in ("total", "bias", "variance", "irreducible", "noise"):
        np.testing.assert_allclose(getattr(risk, part), np.mean([getattr(b, part) for b in brute]), rtol=1e-6, atol=1e-9)


def test_parts_add_up(correlation: np.ndarray) -> None:
    for options in ({}, {"test": 0.5}, {"finite_size": False}, {"algebra": "eigenbasis"}):
        risk = autoencoder_risk(correlation, n=100, mask_ratio=(0.2, 0.9), **options)
        assert risk.total == pytest.approx(risk.bias + risk.variance + risk.irreducible, rel=1e-12)
        assert risk.total == pytest.approx(risk.per_gene.mean(), rel=1e-12)
        assert risk.noise == pytest.approx(risk.per_gene_noise.mean(), rel=1e-12)
        assert min(risk.bias, risk.variance, risk.irreducible) >= 0
        assert (risk.irreducible > 0) == ("test" in options)


def test_noise_is_the_inverse_of_the_precision(correlation: np.ndarray) -> None:
    risk = autoencoder_risk(5 * correlation, n=100, mask_ratio=0.5)
    np.testing.assert_allclose(risk.per_gene_noise, 1 / np.diag(np.linalg.inv(correlation)), rtol=1e-8)


@pytest.mark.parametrize("finite_size", [False, True])
def test_units_do_not_matter(finite_size: bool, correlation: np.ndarray) -> None:
    a = autoencoder_risk(correlation, n=60, mask_ratio=(0.2, 0.8), ridge=0.1, finite_size=finite_size)
    b = autoencoder_risk(9 * correlation, n=60, mask_ratio=(0.2, 0.8), ridge=0.9, finite_size=finite_size)
    np.testing.assert_allclose(a.per_gene, b.per_gene, rtol=1e-8)


def test_genes_are_predicted_in_the_order_asked_for(correlation: np.ndarray) -> None:
    order = np.random.default_rng(0).permutation(D)
    every = autoencoder_risk(correlation, n=60, mask_ratio=0.5)
    np.testing.assert_allclose(
        autoencoder_risk(correlation, n=60, mask_ratio=0.5, genes=order).per_gene, every.per_gene[order], rtol=1e-8
    )
    moved = autoencoder_risk(correlation[np.ix_(order, order)], n=60, mask_ratio=0.5)
    np.testing.assert_allclose(moved.per_gene, every.per_gene[order], rtol=1e-7)


def test_decomposition_stands_for_the_covariance(correlation: np.ndarray) -> None:
    a, b = (autoencoder_risk(x, n=60, mask_ratio=0.5) for x in (correlation, theory.decompose(correlation)))
    np.testing.assert_array_equal(a.per_gene, b.per_gene)


def test_short_cut_is_close_to_exact() -> None:
    """Sharing one fixed point errs by a part in d or so."""
    S = theory.programme_covariance(160, 8)
    for n, p in ((400, 0.2), (400, 0.8), (150, (0.1, 0.9))):
        exact, quick = (autoencoder_risk(S, n=n, mask_ratio=p, algebra=a) for a in ("exact", "eigenbasis"))
        assert (exact.algebra, quick.algebra) == ("exact", "eigenbasis")
        assert quick.total == pytest.approx(exact.total, rel=0.03)
        np.testing.assert_allclose(quick.per_gene, exact.per_gene, rtol=0.15)


def test_genes_are_treated_in_chunks_without_a_seam() -> None:
    eigen = theory.decompose(theory.programme_covariance(520, 8))
    every = autoencoder_risk(eigen, n=2000, mask_ratio=0.5)
    assert every.algebra == "eigenbasis"  # what is chosen for so many genes
    some = autoencoder_risk(eigen, n=2000, mask_ratio=0.5, genes=[10, 511, 512, 519], algebra="eigenbasis")
    np.testing.assert_allclose(every.per_gene[[10, 511, 512, 519]], some.per_gene, rtol=1e-10)


def test_equal_genes_have_equal_risk() -> None:
    risk = autoencoder_risk(theory.equicorrelated_covariance(D, 0.4), n=100, mask_ratio=(0.1, 0.8))
    assert np.ptp(risk.per_gene) < 1e-9


def test_independent_genes_cannot_be_predicted() -> None:
    """All there is to learn is to predict nothing: the risk is variance alone, and the noise is
    all.
    """
    risk = autoencoder_risk(np.eye(D), n=500, mask_ratio=0.5)
    assert risk.noise == pytest.approx(1)
    assert risk.bias == pytest.approx(0, abs=1e-9)
    assert risk.total == risk.variance > 0


def test_the_ratio_itself_drives_double_descent(correlation: np.ndarray) -> None:
    """With n p = d - 1 hidden rows a gene has as many rows as inputs."""
    n = 100
    peak = (D - 1) / n
    at, below, above = (autoencoder_risk(correlation, n=n, mask_ratio=peak + x, finite_size=False) for x in (0, -0.25, 0.25))
    assert at.total > 10 * max(below.total, above.total)
    assert at.near_peak
    assert not below.near_peak
    assert not above.near_peak
    assert not autoencoder_risk(correlation, n=3 * n, mask_ratio=(0.05, 0.95)).near_peak
    by_chance = autoencoder_risk(correlation, n=n, mask_ratio=peak + 0.15, finite_size=False)
    assert by_chance.near_peak  # a gene may be hidden in as many cells as there are other genes
    assert by_chance.peak_distance < 4 < above.peak_distance


def test_many_cells_make_the_ratio_unimportant_at_its_own_test() -> None:
    """With enough cells only the masked input limits, so a higher ratio is a poorer test."""
    S = theory.latent_factor_covariance(D, 3)
    totals = [autoencoder_risk(S, n=1e10, mask_ratio=p, test=p) for p in (0.1, 0.5, 0.9)]
    for risk in totals:
        assert risk.total == pytest.approx(risk.irreducible, rel=1e-4)
    assert totals[0].total < totals[1].total < totals[2].total < 1


@pytest.mark.parametrize("S", [np.ones(D), theory.decompose(np.ones(D))], ids=["eigenvalues", "decomposed eigenvalues"])
def test_eigenvalues_alone_are_refused(S: object) -> None:
    with pytest.raises(DataError, match="needs eigenvectors"):
        autoencoder_risk(S, n=100, mask_ratio=0.5)


def test_unequal_variances_are_refused(unequal: np.ndarray) -> None:
    with pytest.raises(DataError, match="needs equal variances"):
        autoencoder_risk(unequal, n=100, mask_ratio=0.5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        pytest.param({"mask_ratio": 0}, "nothing is ever hidden", id="ratio 0"),
        pytest.param({"mask_ratio": (0.0, 0.0)}, "nothing is ever hidden", id="pair of zeros"),
        pytest.param({"mask_ratio": 1.0}, "hides everything", id="ratio 1"),
        pytest.param({"n": 0}, "n is 0", id="no cell"),
        pytest.param({"n": np.inf}, "n is inf", id="infinitely many"),
        pytest.param({"ridge": -0.1}, "ridge is -0.1", id="negative ridge"),
        pytest.param({"test": 1.0}, "hides everything", id="test ratio 1"),
        pytest.param({"algebra": "fast"}, "algebra is 'fast'", id="unknown algebra"),
    ],
)
def test_bad_settings_are_refused(options: dict, match: str, correlation: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=match):
        autoencoder_risk(correlation, **{"n": 100, "mask_ratio": 0.5, **options})
