"""Predictions of the linear theory, in the variants that are compared with networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.networks.data import correlation
from benchmarks.networks.linear import choose_ridge
from benchmarks.networks.masks import CONDITIONS, SETTINGS, DrawnLaw
from r2mae_bio.masking import Fixed
from r2mae_bio.theory import autoencoder_risk, decompose

if TYPE_CHECKING:
    from benchmarks.networks.data import Data

VARIANTS = (
    "one mask", "one mask, ridge", "one mask, calibrated", "fresh masks", "fresh masks, calibrated", "one mask, pool", "fresh masks, pool",
)  # fmt: skip
"""``one mask``: each row masked once, minimum norm, as the theory is stated. ``ridge``: with the
ridge that suits the linear learner at ratio 0.5. ``calibrated``: the prediction is multiplied by
the best factor for the test ratio. ``fresh masks``: masks drawn anew for ever, which turns the law
into a ridge. ``pool``: from the covariance of all rows that training sets are drawn from, instead
of the training rows; of Gaussian surrogates, from the true one.
"""
_FEW = 1e-6


def predictions(data: Data, n: int, seed: int) -> list[dict[str, Any]]:
    """One record for each variant and setting."""
    rows = data.training_rows(n, seed)
    ridge = choose_ridge(data, rows, Fixed(0.5), seed)
    x = data.values.double().numpy()
    train, pool = decompose(correlation(x[rows])), decompose(correlation(x[data.pool]) if data.truth is None else data.truth)
    key = {"data": data.name, "n": n, "seed": seed}
    records = []
    for setting, law in SETTINGS.items():
        drawn = DrawnLaw(law, data.n_features)
        fresh = {"n": n / _FEW, "mask_ratio": _FEW, "ridge": drawn.dropout_ridge()}
        once = {"n": n, "mask_ratio": drawn}
        calibrated = {"calibrated": True}
        cases = (
            (train, once), (train, {**once, "ridge": ridge}), (train, once | calibrated), (train, fresh), (train, fresh | calibrated),
            (pool, once), (pool, fresh),
        )  # fmt: skip
        for variant, (eigen, arguments) in zip(VARIANTS, cases, strict=True):
            risks = {name: autoencoder_risk(eigen, test=p, **arguments) for name, p in CONDITIONS.items()}
            one = risks["full"]
            flags = {"near_peak": one.near_peak, "heavy_tailed": one.heavy_tailed, "converged": one.converged}
            errors = {name: risk.prediction_error for name, risk in risks.items()}
            records.append(
                {**key, "variant": variant, "setting": setting, "ridge": arguments.get("ridge", 0.0), **errors, **flags}
            )
    return records
