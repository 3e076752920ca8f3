"""Covariates: columns of ``.obs`` as numbers that the decoder sees."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import DataError, SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Covariates:
    """Names, categories and scales of the covariates a model was set up with."""

    categories: dict[str, tuple[str, ...]]
    """Categories of each categorical covariate, in the order of their columns."""
    scales: dict[str, tuple[float, float]]
    """Mean and standard deviation of each continuous covariate."""

    @classmethod
    def from_obs(cls, obs: pd.DataFrame, categorical: Sequence[str], continuous: Sequence[str]) -> Covariates:
        """Read categories and scales.

        Parameters
        ----------
        obs
            Of the training data.
        categorical, continuous
            Columns.

        Raises
        ------
        SetupError
            A column does not exist.
        DataError
            A column has missing values, or a continuous one is not numeric.
        """
        for name in (*categorical, *continuous):
            check_column(obs, name)
        categories = {name: tuple(sorted(set(obs[name].astype(str)))) for name in categorical}
        return cls(categories, {name: _scale(obs[name]) for name in continuous})

    @property
    def width(self) -> int:
        """Number of context features C."""
        return sum(map(len, self.categories.values())) + len(self.scales)

    def encode(self, obs: pd.DataFrame) -> NDArray[np.float32]:
        """Context of cells.

        Parameters
        ----------
        obs
            Has the covariates' columns.

        Returns
        -------
        One-hot categories and standardised numbers, float32 (n_cells, C). A category that is not
        known has no column, so its one-hot block is zero.

        Raises
        ------
        SetupError, DataError
            As for :meth:`from_obs`.
        """
        for name in (*self.categories, *self.scales):
            check_column(obs, name)
        blocks = [np.zeros((len(obs), 0), np.float32)]
        for name, known in self.categories.items():
            codes = pd.Categorical(obs[name].astype(str), categories=known).codes
            blocks.append((codes[:, None] == np.arange(len(known))).astype(np.float32))
        for name, (mean, sd) in self.scales.items():
            blocks.append(((obs[name].to_numpy(np.float64) - mean) / sd).astype(np.float32)[:, None])
        return np.concatenate(blocks, axis=1)

    def blank(self, n_cells: int) -> NDArray[np.float32]:
        """Context of cells whose covariates do not matter, float32 (n_cells, C) of zeros."""
        return np.zeros((n_cells, self.width), np.float32)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Covariates:
        """Covariates from :meth:`to_json`."""
        return cls({k: tuple(v) for k, v in data["categories"].items()}, {k: (v[0], v[1]) for k, v in data["scales"].items()})


def check_column(obs: pd.DataFrame, name: str) -> None:
    """Refuse a column that does not exist or has missing values."""
    if name not in obs:
        message = (
            f"obs has no column {name!r}; it has {', '.join(map(str, obs.columns)) or 'none'}. Check the spelling of the key."
        )
        raise SetupError(message)
    n_missing = int(obs[name].isna().sum())
    if n_missing:
        message = f"obs[{name!r}] is missing for {n_missing} of {len(obs)} cells; fill the values or leave these cells out."
        raise DataError(message)


def _scale(column: pd.Series) -> tuple[float, float]:
    if not pd.api.types.is_numeric_dtype(column):
        message = (
            f"obs[{column.name!r}] has dtype {column.dtype}; a continuous covariate must be numeric. Pass it as categorical."
        )
        raise DataError(message)
    values = column.to_numpy(np.float64)
    if not np.isfinite(values).all():
        message = f"obs[{column.name!r}] holds infinite values; remove or replace them."
        raise DataError(message)
    return float(values.mean()), float(values.std()) or 1.0
