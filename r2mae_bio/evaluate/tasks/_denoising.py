"""Denoising, judged by molecules that the methods did not see.

Batson, Royer & Webber (2019), "Molecular cross-validation for single-cell RNA-seq", bioRxiv 786269.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse, special

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_seed
from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate._chunks import chunks
from r2mae_bio.evaluate.methods._denoisers import as_denoiser
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.tasks._depth_transfer import thin_counts
from r2mae_bio.evaluate.tasks._transfer import check_split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from r2mae_bio._splits import Split
    from r2mae_bio.evaluate.methods._embedder import Denoiser, Embedder, SparseCounts

__all__ = ["denoising"]

COLUMNS = ["method", "seed", "n_cells", "n_genes", "train_share", "poisson_nll", "mse_log"]
LEAST_EXPECTED = 1e-6
"""Smallest expected count, the same for every method: an impossible count would cost infinitely
much.
"""
TARGET = 1e4
"""Counts per cell of the profiles that are compared."""


def denoising(
    methods: Sequence[Denoiser | Embedder],
    counts: SparseCounts,
    *,
    split: Split,
    train_share: float = 0.9,
    seeds: Sequence[int] = (0, 1, 2),
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    r"""Molecular cross-validation: predict the held-out molecules of cells from their other
    molecules.

    Per seed, each molecule goes to the training half with probability ``train_share``, to the
    held-out half otherwise. If a small part of a cell's molecules was captured, as is usual, its
    counts are Poisson given expression and the halves independent. Methods are fitted on the
    training halves of reference cells, and asked for the expected counts of query cells given these
    cells' training halves. These, times (1 - ``train_share``) / ``train_share``, are compared with
    the held-out halves. Cells without a molecule in the training half are left out.

    Parameters
    ----------
    methods
        Methods with different names whose fit offers ``rates``, such as :class:`NoDenoising`,
        :class:`MeanProfile`, :class:`SCVI` and :class:`MaskedAutoencoder`; or linear models, such
        as :class:`PCAZeroFill` and :class:`FactorAnalysis`, whose reconstruction is clipped at zero
        and taken back to counts.
    counts
        Raw counts (n_cells, n_genes), whole numbers.
    split
        Reference and query cells, the same for every seed.
    train_share
        Probability that a molecule is in the training half, between 0 and 1, both excluded.
    seeds
        Seeds of the halves and of the methods.
    on_result
        Called with one line of text after each score.

    Returns
    -------
    One row per method and seed, with columns method, seed, n_cells (query cells scored), n_genes,
    train_share, poisson_nll and mse_log; smaller is better. ``poisson_nll`` is the Poisson negative
    log-likelihood of the held-out counts, nats per cell and gene, expected counts below 1e-6 taken
    as 1e-6. ``mse_log`` is the mean squared difference of expected and held-out profiles, each
    scaled to 1e4 counts per cell and log1p, over cells with held-out counts; noise of the held-out
    half keeps it well above 0.

    Raises
    ------
    ConfigError
        Names repeat, nothing is asked for, ``train_share`` is out of range, or a method gives no
        expected counts.
    DataError
        The split does not fit the counts, these are not whole numbers, or a method's expected
        counts are not usable.
    """
    check_unique(methods=methods, seeds=seeds)
    if not 0 < train_share < 1:
        message = f"train_share is {train_share}; a value between 0 and 1, both excluded, is needed."
        raise ConfigError(message)
    cells = sparse.csr_array(counts)
    check_split(split, cells.shape[0])
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        train = thin_counts(cells, train_share, seed=derive_seed(seed, "molecules"))
        held_out = sparse.csr_array(cells - train)
        for method in methods:
            scores = _score(method, train, held_out, split=split, train_share=train_share, seed=seed)
            rows.append({"method": method.name, "seed": seed, "n_genes": cells.shape[1], "train_share": train_share, **scores})
            if on_result is not None:
                on_result(f"{method.name}, seed {seed}: Poisson nll {scores['poisson_nll']:.5f}, mse_log {scores['mse_log']:.4f}")
    return pd.DataFrame(rows, columns=COLUMNS)


def _score(
    method: Denoiser | Embedder,
    train: sparse.csr_array,
    held_out: sparse.csr_array,
    *,
    split: Split,
    train_share: float,
    seed: int,
) -> dict[str, float]:
    reference, query = _not_empty(train, split.reference), _not_empty(train, split.query)
    fitted = as_denoiser(method.name, method.fit(train[reference], seed=seed), train[reference])
    rates = _checked(fitted.rates(train[query], all_measured(train)), (len(query), train.shape[1]), method.name)
    nll, squares, n_profiles = 0.0, 0.0, 0
    for some in chunks(len(query)):
        expected = np.maximum(rates[some].astype(np.float64) * (1 - train_share) / train_share, LEAST_EXPECTED)
        observed = held_out[query[some]].toarray().astype(np.float64)
        nll += float(poisson_nll(observed, expected).sum())
        known = observed.sum(axis=1) > 0
        squares += float(np.square(_log_profile(expected[known]) - _log_profile(observed[known])).sum())
        n_profiles += int(known.sum())
    return {
        "n_cells": len(query),
        "poisson_nll": nll / rates.size,
        "mse_log": squares / (n_profiles * rates.shape[1]) if n_profiles else np.nan,
    }


def poisson_nll(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative log-probability of counts under Poisson distributions of positive means, nats,
    elementwise.
    """
    return expected - observed * np.log(expected) + special.gammaln(observed + 1)


def _log_profile(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log1p(counts * (TARGET / counts.sum(axis=1, keepdims=True)))


def _not_empty(train: sparse.csr_array, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    kept = rows[np.asarray(train[rows].sum(axis=1)).ravel() > 0]
    if not len(kept):
        message = "No cell has a molecule in its training half; pass raw counts, and a larger train_share."
        raise DataError(message)
    return kept


def _checked(rates: NDArray[np.float32], shape: tuple[int, int], name: str) -> NDArray[np.float32]:
    if rates.shape != shape or not np.isfinite(rates).all() or rates.min() < 0:
        message = f"The expected counts of {name!r} have shape {rates.shape}, or hold negative or infinite values; {shape} counts are needed."
        raise DataError(message)
    return rates
