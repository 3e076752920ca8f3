"""From the spectrum of a data set to a range of mask ratios."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.advice._curve import RATIOS, risk_curve
from r2mae_bio.theory.advice._fresh import level_nodes, predicted, scenario_of
from r2mae_bio.theory.advice._report import TOLERANCE, Scenario, candidates, choose
from r2mae_bio.theory.risk._autoencoder import autoencoder_risk
from r2mae_bio.theory.risk._decompose import Eigendecomposition
from r2mae_bio.theory.risk._fresh_masks import as_resolvent
from r2mae_bio.theory.risk._risk import check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.advice._report import Masks, Recommendation
    from r2mae_bio.theory.risk._fresh_masks import FactorCorrelation
    from r2mae_bio.theory.risk._groups import Float

_N_GENES = 200


def recommend(
    eigen: Eigendecomposition | FactorCorrelation,
    *,
    n: int,
    panel: float = 0.1,
    masks: Masks = "fresh",
    eigenvalue_samples: ArrayLike | None = None,
    seed: int = 0,
    **settings: Any,
) -> Recommendation:
    """Recommend a range of mask ratios for a gene correlation matrix.

    Every candidate ``Uniform(low, high)`` is compared with the best fixed ratio for two kinds of
    test cells: measured in full, and on a panel. Recommended is the law whose larger cost is least;
    among laws within 0.01 of it, the widest. The comparison says what it finds: in the linear model
    a random ratio does not beat the best fixed ratio on full measurements by more than noise.

    Parameters
    ----------
    eigen
        Of the gene correlation matrix (d, d); with fresh masks also factors and a diagonal.
    n
        Number of training cells.
    panel
        Share of the genes that a panel, or a shallow cell, measures, in (0, 1).
    masks
        ``"fresh"``: cells are masked anew for ever, as in training over many epochs
        (:func:`fresh_mask_risk`). ``"single"``: every cell is masked once
        (:func:`autoencoder_risk`), the model of the paper.
    eigenvalue_samples
        Eigenvalues under resampling of the cells (S, d), for the uncertainty; none if None.
    seed
        Seed of the draw of 200 genes over which errors are averaged, where there are more; with
        fresh masks all genes count.
    settings
        With single masks, further arguments of :func:`autoencoder_risk`, such as ``rescale`` and
        ``row_scales``.

    Returns
    -------
    The recommendation.

    Raises
    ------
    ConfigError, DataError
        A setting is out of range, or the covariance is none.
    """
    check_panel(panel, masks)
    samples = None if eigenvalue_samples is None else _check_samples(eigenvalue_samples, eigen.n_features)
    if masks == "fresh":
        if settings or (samples is not None and not isinstance(eigen, Eigendecomposition)):
            message = f"{sorted(settings) or 'eigenvalue_samples of factors'} cannot be had with masks='fresh'; leave it out."
            raise ConfigError(message)
        return _from_fresh(eigen, n, panel, samples)
    if not isinstance(eigen, Eigendecomposition):
        message = "masks='single' needs an eigendecomposition of the whole correlation matrix."
        raise DataError(message)
    return _from_single(eigen, n, panel, samples, seed, **settings)


def check_panel(panel: float, masks: str) -> None:
    """Refuse a panel that is no share, and unknown masks."""
    if not 0 < panel < 1:
        message = f"panel is {panel}; needed is the share of genes that a panel measures, between 0 and 1."
        raise ConfigError(message)
    if masks not in ("fresh", "single"):
        message = f"masks is {masks!r}; needed is 'fresh' or 'single'."
        raise ConfigError(message)


def panel_level(panel: float) -> float:
    """Variance that measuring a panel adds to an input."""
    return (1 - panel) / panel


def _from_fresh(eigen: Eigendecomposition | FactorCorrelation, n: int, panel: float, samples: Float | None) -> Recommendation:
    check_setting("n", n, 1)
    d, nodes = eigen.n_features, level_nodes(eigen.n_features)

    def scenarios(correlation: Eigendecomposition | FactorCorrelation) -> tuple[Scenario, Scenario]:
        model = as_resolvent(correlation)
        full, on_panel = (scenario_of(predicted(model, n, nodes, t), d) for t in (0.0, panel_level(panel)))
        return full, on_panel

    about: dict[str, Any] = {
        "n_cells": int(n),
        "n_genes": d,
        "panel": float(panel),
        "peak": np.inf,
        "effective_rank": eigen.effective_rank,
    }
    advice = choose(*scenarios(eigen), masks="fresh", evidence="theory", **about)
    if samples is None or not isinstance(eigen, Eigendecomposition):
        return advice
    return advice.with_bootstrap([scenarios(replace(eigen, values=values)) for values in samples])


def _from_single(
    eigen: Eigendecomposition, n: int, panel: float, resampled: Float | None, seed: int, **settings: Any
) -> Recommendation:
    d = eigen.n_features
    genes = np.sort(derive_generator(seed, "theory-genes").permutation(d)[:_N_GENES])
    settings = {"algebra": "eigenbasis", "genes": genes, **settings}  # its error of about 1% is common to all ratios
    tests = (None, 1 - panel)
    about: dict[str, Any] = {
        "n_cells": int(n),
        "n_genes": d,
        "panel": float(panel),
        "peak": (d - 1) / n,
        "effective_rank": eigen.effective_rank,
    }
    full, on_panel = (_scenario(eigen, n, test, candidates(), RATIOS, **settings) for test in tests)
    advice = choose(full, on_panel, masks="single", evidence="theory", **about)
    if resampled is None:
        return advice
    moved = (replace(eigen, values=values) for values in resampled)
    pairs = [tuple(_scenario(e, n, test, [advice.law], RATIOS[::2], **settings) for test in tests) for e in moved]
    return advice.with_bootstrap(pairs)


def _check_samples(eigenvalue_samples: ArrayLike, d: int) -> Float:
    values = np.asarray(eigenvalue_samples, np.float64)
    if values.ndim != 2 or values.shape[1] != d or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        message = (
            f"eigenvalue_samples has the shape {values.shape}; needed is (samples, {d}), at least one sample, and finite eigenvalues "
            "of 0 or more."
        )
        raise DataError(message)
    return values


def _scenario(
    eigen: Eigendecomposition, n: int, test: float | None, laws: list[tuple[float, float]], ratios: Float, **settings: Any
) -> Scenario:
    curve = risk_curve(eigen, n=n, ratios=ratios, test=test, **settings)
    errors = [autoencoder_risk(eigen, n=n, mask_ratio=law, test=test, **settings).prediction_error for law in laws]
    return Scenario(curve, curve.within(TOLERANCE), np.array(errors))


def _spread(samples: list[Recommendation]) -> dict[str, Float]:
    return {
        "best_full": np.array([s.full.curve.best for s in samples]),
        "best_panel": np.array([s.on_panel.curve.best for s in samples]),
        "cost_full": np.array([s.cost["full"] for s in samples]),
        "cost_panel": np.array([s.cost["panel"] for s in samples]),
    }
