"""The eight settings of the mask ratio, and the test masks that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import Fixed, Uniform, draw_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.masking import RatioLaw

SETTINGS: dict[str, RatioLaw] = {
    "0.1": Fixed(0.1),
    "0.25": Fixed(0.25),
    "0.5": Fixed(0.5),
    "0.75": Fixed(0.75),
    "0.9": Fixed(0.9),
    "U(0,1)": Uniform(0.0, 1.0),
    "U(.3,.9)": Uniform(0.3, 0.9),
    "U(.05,.5)": Uniform(0.05, 0.5),
}
"""Settings by their name in tables; the ratio of a law is drawn anew for every row."""
CONDITIONS = {"full": 0.1, "panel": 0.9}
"""Share of the features that is hidden in each test condition."""
REPEATS = {"full": 4, "panel": 2}
"""Masks per test row."""


@dataclass(frozen=True)
class DrawnLaw:
    """A law as it is drawn over d features: at least one is hidden and at least one stays
    visible.
    """

    law: RatioLaw
    n_features: int

    def quadrature(self, n_nodes: int = 64) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ratios, weights = self.law.quadrature(64)
        hidden = np.clip(np.rint(ratios * self.n_features), 1, self.n_features - 1)
        return hidden / self.n_features, weights

    def dropout_ridge(self) -> float:
        """``E[p * p/q] / E[p]``: what rescaled masks, drawn anew for ever, add to the diagonal of
        the covariance.
        """
        p, w = self.quadrature()
        return float(w @ (p * p / (1 - p)) / (w @ p))


def draw_hidden(law: RatioLaw, n_rows: int, n_features: int, generator: np.random.Generator) -> torch.Tensor:
    """True where hidden, bool (n_rows, n_features)."""
    measured = torch.ones(1, n_features, dtype=torch.bool)
    return draw_plan(measured, law.sample(n_rows, generator), generator).hidden


def test_masks(n_rows: int, n_features: int) -> dict[str, torch.Tensor]:
    """Masks of each condition, the same for every learner and setting, bool (repeats, n_rows,
    n_features).
    """
    return {
        name: torch.stack(
            [draw_hidden(Fixed(p), n_rows, n_features, derive_generator(0, f"test-{name}", i)) for i in range(REPEATS[name])]
        )
        for name, p in CONDITIONS.items()
    }


def rescaled(values: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Hidden entries zero, visible ones divided by the visible share of the row ("inverted
    dropout").
    """
    visible = ~hidden
    return values * visible * (hidden.shape[-1] / visible.sum(-1, keepdim=True))


def hidden_error(
    predicted: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor, features: slice | list[int] = slice(None)
) -> float:
    """Mean over features of the mean squared error of their hidden entries; leading axes are
    rows.
    """
    wrong = ((predicted - values) ** 2 * hidden)[..., features].flatten(0, -2).sum(0)
    count = hidden[..., features].flatten(0, -2).sum(0)
    return float((wrong[count > 0] / count[count > 0]).mean())
