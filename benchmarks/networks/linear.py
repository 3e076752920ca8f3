"""The linear masked autoencoder, exactly: least squares of each feature on the others as masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from benchmarks.networks.masks import DrawnLaw, draw_hidden, hidden_error, rescaled
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from benchmarks.networks.data import Data
    from r2mae_bio.masking import RatioLaw

RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_TINY = 1e-9
_MOST_FEATURES = 64


def scored_features(data: Data, most: int = _MOST_FEATURES) -> list[int]:
    """Features for which one-mask least squares is solved: all, or evenly spaced ones where there
    are many.
    """
    return sorted(set(np.linspace(0, data.n_features - 1, min(most, data.n_features)).round().astype(int).tolist()))


def one_mask(data: Data, rows: np.ndarray, law: RatioLaw, seed: int, ridge: float = 0.0, *, features: list[int]) -> np.ndarray:
    """Coefficients (d, features) when each row is masked once: what the theory describes. Rows
    where a feature is hidden predict it.
    """
    values = data.values[rows]
    hidden = draw_hidden(law, len(rows), data.n_features, derive_generator(seed, "one-mask"))
    seen = rescaled(values, hidden).double().numpy()
    targets, masked = values.double().numpy(), hidden.numpy()
    return np.stack([_ridge(seen[masked[:, j]], targets[masked[:, j], j], ridge) for j in features], axis=1)


def _ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Minimum-norm least squares, or ridge in units of the mean square, from the smaller of the two
    Gram matrices.
    """
    n, d = x.shape
    if n == 0:
        return np.zeros(d)
    gram = x.T @ x if n >= d else x @ x.T
    gram.flat[:: len(gram) + 1] += n * ridge + _TINY * np.trace(gram) / len(gram) + 1e-12
    factor = cho_factor(gram, overwrite_a=True, check_finite=False)
    return cho_solve(factor, x.T @ y) if n >= d else x.T @ cho_solve(factor, y)


def fresh_masks(data: Data, rows: np.ndarray, law: RatioLaw) -> np.ndarray:
    """Coefficients (d, d) when every row is masked anew for ever: the law enters as a ridge on the
    sample covariance.

    Row j of the inverse of ``M = S + c D`` gives the regression of feature j on the others,
    ``-M^-1[:, j] / M^-1[j, j]``.
    """
    x = data.values[rows].double().numpy()
    moment = x.T @ x / len(x)
    ridge = DrawnLaw(law, data.n_features).dropout_ridge() * np.diag(moment) + 1e-9
    inverse = np.linalg.inv(moment + np.diag(ridge))
    coefficients = -inverse / np.diag(inverse)
    np.fill_diagonal(coefficients, 0)
    return coefficients


def errors(data: Data, coefficients: np.ndarray, features: list[int]) -> dict[str, float]:
    """Error of hidden features in each test condition."""
    values = data.values[data.test].double()
    weights = torch.from_numpy(coefficients)
    result = {}
    for name, masks in data.masks.items():
        predicted = rescaled(values, masks) @ weights  # (repeats, rows, features)
        result[name] = hidden_error(predicted, values[:, features].expand_as(predicted), masks[..., features])
    return result


def choose_ridge(data: Data, rows: np.ndarray, law: RatioLaw, seed: int) -> float:
    """The ridge of one-mask least squares that predicts validation rows best, masked at the same
    ratio.
    """
    features = scored_features(data, 24)
    values = data.values[data.validation].double()
    hidden = draw_hidden(law, 4 * len(values), data.n_features, derive_generator(0, "choose-ridge")).view(4, *values.shape)

    def error(ridge: float) -> float:
        weights = torch.from_numpy(one_mask(data, rows, law, seed, ridge, features=features))
        predicted = rescaled(values, hidden) @ weights
        return hidden_error(predicted, values[:, features].expand_as(predicted), hidden[..., features])

    return min(RIDGES, key=error)
