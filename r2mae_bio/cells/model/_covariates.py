"""Covariates: columns of ``.obs`` as numbers that the decoder sees."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import DataError
from r2mae_bio.cells.read._obs import complete, name_text, read_column, text_values
from r2mae_bio.config._form import check_form

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
        columns = {name: complete(read_column(obs, name)) for name in (*categorical, *continuous)}
        categories = {name: tuple(sorted(set(text_values(columns[name])))) for name in categorical}
        return cls(categories, {name: _scale(columns[name]) for name in continuous})

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
        One-hot categories and standardised numbers, float32 (n_cells, C).

        Raises
        ------
        SetupError, DataError
            As for :meth:`from_obs`, or a category is not known.
        """
        blocks = [np.zeros((obs.shape[0], 0), np.float32)]
        for name, known in self.categories.items():
            codes = _codes(text_values(complete(read_column(obs, name))), known, name)
            blocks.append((codes[:, None] == np.arange(len(known))).astype(np.float32))
        for name, (mean, sd) in self.scales.items():
            blocks.append(((complete(read_column(obs, name)).to_numpy(np.float64) - mean) / sd).astype(np.float32)[:, None])
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
        check_form(data, {"categories": dict[str, tuple[str | float | bool, ...]], "scales": dict[str, tuple[float, ...]]})
        categories = {key: tuple(map(name_text, names)) for key, names in data["categories"].items()}
        return cls(categories, {k: (mean, sd) for k, (mean, sd) in data["scales"].items()})


def _codes(values: NDArray[np.object_], known: tuple[str, ...], key: str) -> NDArray[np.intp]:
    """Number of each cell's category."""
    codes = pd.Index(known).get_indexer(pd.Index(values))
    unknown = sorted(set(values[codes < 0]))
    if unknown:
        message = (
            f"obs[{key!r}] has {len(unknown)} categories that the model was not trained with: {', '.join(map(repr, unknown[:5]))}; it "
            f"knows {', '.join(map(repr, known[:5]))} ({len(known)} in all), and its decoder has no place for others. Embed them by "
            "map_query(), or train a new model on all the data together (anndata.concat)."
        )
        raise DataError(message)
    return codes


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
