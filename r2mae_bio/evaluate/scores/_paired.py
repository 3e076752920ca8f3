"""Differences between methods, paired over what both were given: the same set, the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._keys import as_names
from r2mae_bio.evaluate.scores._frame import METRICS, check_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["paired_differences"]

STATISTICS = ["n", "mean", "sd", "low", "high", "wins"]


def paired_differences(
    frame: pd.DataFrame,
    *,
    reference: str,
    metric: str = "macro_f1",
    by: str | Sequence[str] = ("probe", "panel", "reference"),
    pair: str | Sequence[str] = ("set", "seed"),
    level: float = 0.95,
) -> pd.DataFrame:
    """The reference minus every other method, pair by pair.

    What is hard for one method is hard for all, so the differences vary less than the scores. The
    interval is Student's, for the mean over such pairs. Seeds of one set share its cells: with a
    single set the interval says what another seed would give, and not what another set would.

    Parameters
    ----------
    frame
        Result of :func:`panel_transfer` or its like, or several concatenated with a column ``set``.
    reference
        A method of the frame.
    metric
        Column with scores, such as ``"macro_f1"``, or ``"value"`` for :func:`integration`.
    by
        Columns within whose values methods are compared, such as ``("probe", "depth")``; those that
        the frame lacks are left out.
    pair
        Columns that tell the pairs apart; those that the frame lacks are left out, at least one is
        needed.
    level
        Level of the confidence interval, between 0 and 1, both excluded.

    Returns
    -------
    One row per value of ``by`` and method, in the order of ``frame``, with the columns ``by``,
    method, n (pairs), mean and sd of the difference, low and high (ends of the interval of the
    mean), and wins (pairs in which the reference is better; ties are not). For poisson_nll and
    mse_log smaller is better, and a win is a negative difference. sd, low and high are NaN for a
    single pair, and so is mean without a common pair. Missing scores are left out.

    Raises
    ------
    ConfigError
        The level is out of range, or the reference is not in the frame or is alone in it.
    DataError
        A column is missing, or a method has several rows for one pair.
    """
    if not 0 < level < 1:
        message = f"level is {level}; a value between 0 and 1, both excluded, is needed."
        raise ConfigError(message)
    check_columns(frame, ["method", metric])
    groups, pairs = [c for c in as_names(by) if c in frame], [c for c in as_names(pair) if c in frame]
    check_columns(frame, [] if pairs else as_names(pair))
    _check_reference(frame, reference)
    _check_rows(frame, ["method", *groups, *pairs])
    rows: list[dict[str, Any]] = []
    for key, part in frame.groupby(groups, sort=False, observed=True, dropna=False) if groups else [((), frame)]:
        wide = part.set_index([*pairs, "method"])[metric].unstack("method")
        for method in part["method"].unique():
            if method != reference and reference in wide:
                differences = (wide[reference] - wide[method]).dropna().to_numpy(float)
                named = dict(zip(groups, key, strict=True))
                rows.append({**named, "method": method, **_statistics(differences, level, METRICS.get(metric, True))})
    return pd.DataFrame(rows, columns=[*groups, "method", *STATISTICS])


def _statistics(differences: NDArray[np.float64], level: float, larger_is_better: bool) -> dict[str, float]:  # noqa: FBT001
    n = len(differences)
    mean = differences.mean() if n else np.nan
    sd = differences.std(ddof=1) if n > 1 else np.nan
    half = stats.t.ppf((1 + level) / 2, n - 1) * sd / np.sqrt(n) if n > 1 else np.nan
    better = differences > 0 if larger_is_better else differences < 0
    return {"n": n, "mean": mean, "sd": sd, "low": mean - half, "high": mean + half, "wins": int(better.sum())}


def _check_reference(frame: pd.DataFrame, reference: str) -> None:
    methods = frame["method"].unique()
    if reference not in methods or len(methods) < 2:
        message = (
            f"The reference is {reference!r}, the frame has {', '.join(map(repr, methods))}; name one of them, beside others."
        )
        raise ConfigError(message)


def _check_rows(frame: pd.DataFrame, keys: list[str]) -> None:
    repeated = frame.duplicated(keys)
    if repeated.any():
        row = frame.loc[repeated, keys].iloc[0].to_dict()
        message = f"There are several rows for {row}; name what tells them apart in `by` (compared apart) or `pair` (paired)."
        raise DataError(message)
