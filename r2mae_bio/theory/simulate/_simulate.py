"""Monte Carlo of the same experiments that the theory describes, on the user's own covariance or
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.risk._groups import hidden_share, mask_groups, ratio_nodes
from r2mae_bio.theory.risk._risk import Panel, check_setting
from r2mae_bio.theory.simulate._draws import Population, draw_ratios, error_on_test, mask, minimum_norm
from r2mae_bio.theory.simulate._parallel import run_draws

if TYPE_CHECKING:
    from threading import Event

    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._groups import Float, Groups, MaskRatio


@dataclass(frozen=True, eq=False)
class Simulation:
    """Risk over independent training sets. Near the interpolation peak the mean is heavy-tailed,
    and the median says more.
    """

    totals: Float
    """Risk of every draw (n_draws,)."""
    per_gene: Float | None = None
    """Risk of every draw and gene, for the autoencoder (n_draws, J)."""

    @property
    def n_draws(self) -> int:
        """Number of training sets."""
        return self.totals.size

    @property
    def mean(self) -> float:
        """Mean risk."""
        return float(self.totals.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; NaN for a single draw."""
        return float(self.totals.std(ddof=1) / np.sqrt(self.n_draws)) if self.n_draws > 1 else float("nan")

    @property
    def median(self) -> float:
        """Median risk."""
        return float(np.median(self.totals))

    @property
    def median_error(self) -> float:
        """Standard error of the median, half the distance of the order statistics one binomial
        deviation on either side; NaN for a single draw.
        """
        if self.n_draws == 1:
            return float("nan")
        half = 0.5 / np.sqrt(self.n_draws)
        low, high = np.quantile(self.totals, [0.5 - half, 0.5 + half])
        return float(high - low) / 2


def simulate_risk(
    covariance: ArrayLike,
    coefficients: ArrayLike,
    *,
    n: int,
    noise_variance: float,
    mask_ratio: MaskRatio,
    rescale: bool = True,
    test: MaskRatio | Panel | None = None,
    ridge: float = 0.0,
    row_scales: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    batch_size: int = 128,
    n_draws: int = 100,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Simulation:
    """Risk of minimum-norm least squares on masked inputs, by simulation: the experiment of
    :func:`regression_risk`.

    A draw takes n rows, masks every entry at its row's own ratio, fits, and evaluates the risk
    exactly for the estimator at hand.

    Parameters
    ----------
    covariance
        Covariance of the features (d, d).
    coefficients, noise_variance, mask_ratio, rescale, test, ridge, row_scales
        As in :func:`regression_risk`. A law whose scope is not ``"row"`` gives
        ``batch_size`` successive rows one ratio; the masks of rows always differ.
    n
        Number of training rows.
    rows
        Centred rows (N, d) from which training rows are drawn, without replacement if there are n,
        in place of Gaussian ones. The risk is still that of ``covariance``.
    batch_size
        Rows that share a ratio, for laws whose scope is not ``"row"``.
    n_draws
        Number of training sets.
    seed
        A draw depends on the seed and its own number alone, not on ``n_jobs``.
    n_jobs
        Threads; as many as there are processors if None.
    progress
        Show a progress bar; if None, only in a terminal and when it takes more than a few seconds.

    Returns
    -------
    Risk of every draw, in units of the target squared.

    Raises
    ------
    DataError
        The covariance is none, or shapes differ.
    ConfigError
        A setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import simulate_risk
    >>> S, b = np.eye(40), np.full(40, 0.15)
    >>> runs = simulate_risk(S, b, n=20, noise_variance=0.1, mask_ratio=0.5, n_draws=20)
    >>> runs.totals.shape
    (20,)
    """
    design = _design(
        Population.of(covariance, rows, row_scales), n, mask_ratio, test, ridge, batch_size, seed, rescale=rescale
    )  # fmt: skip
    d, b = len(design.population.S), np.asarray(coefficients, np.float64)
    if b.shape != (d,) or not np.isfinite(b).all():
        message = f"coefficients have shape {b.shape}; needed are {d} finite numbers, one for each feature of the covariance."
        raise DataError(message)
    deviation = np.sqrt(check_setting("noise_variance", noise_variance, 0))

    def draw(number: int, _: Event) -> float:
        rows = design.draw(number)
        noise = rows.scale * deviation * rows.generator.normal(size=design.n)
        return design.error(rows.masked, rows.X @ b + noise, b)

    return Simulation(np.array(run_draws(draw, n_draws, n_jobs=n_jobs, progress=progress, title="Training sets")))


def simulate_autoencoder_risk(
    covariance: ArrayLike,
    *,
    n: int,
    mask_ratio: MaskRatio,
    rescale: bool = True,
    test: MaskRatio | None = None,
    genes: ArrayLike | None = None,
    ridge: float = 0.0,
    row_scales: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    calibrated: bool = False,
    batch_size: int = 128,
    n_draws: int = 40,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Simulation:
    """Risk of the masked linear autoencoder, by simulation: the experiment of
    :func:`autoencoder_risk`.

    A draw takes one data set of n cells and one mask; each gene is regressed, in the cells where it
    is hidden, on the other genes as masked.

    Parameters
    ----------
    covariance
        Covariance of the genes (d, d).
    n
        Number of training cells.
    mask_ratio, rescale, test, ridge, row_scales
        As in :func:`autoencoder_risk`.
    genes
        Positions of the genes to predict (J,); all if None. A few dozen spread over the genes are
        enough for the mean.
    calibrated
        As in :func:`autoencoder_risk`; the factor is that of the training set at hand.
    rows, batch_size, n_draws, seed, n_jobs, progress
        As in :func:`simulate_risk`.

    Returns
    -------
    Risk of every draw in units of a gene's variance, as mean over genes and for every gene. A gene
    that is hidden in no cell is predicted by its mean.

    Raises
    ------
    DataError
        The covariance is none, or shapes differ.
    ConfigError
        A setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import simulate_autoencoder_risk
    >>> settings = {"n": 100, "mask_ratio": (0.1, 0.9), "genes": [0, 7], "n_draws": 10}
    >>> runs = simulate_autoencoder_risk(0.5 * np.eye(20) + 0.5, **settings)
    >>> runs.per_gene.shape
    (10, 2)
    """
    design = _design(
        Population.of(covariance, rows, row_scales), n, mask_ratio, test, ridge, batch_size, seed, rescale=rescale,
        calibrated=calibrated,
    )  # fmt: skip
    hidden_share(mask_ratio)  # refuses a ratio of 0
    chosen = _positions(genes, len(design.population.S))
    targets = [(j, design.population.conditional_mean(j)) for j in chosen.tolist()]

    def draw(number: int, stopped: Event) -> list[float]:
        rows = design.draw(number)
        # The hidden gene is 0 in its own inputs, so its coefficient is 0 and it need not be cut
        # out.
        return [
            design.error(rows.masked[rows.hidden[:, j]], rows.X[rows.hidden[:, j], j], b)
            for j, b in targets
            if not stopped.is_set()
        ]

    errors = np.array(run_draws(draw, n_draws, n_jobs=n_jobs, progress=progress, title="Training sets"))
    per_gene = errors / np.diag(design.population.S)[chosen]
    return Simulation(per_gene.mean(axis=1), per_gene)


@dataclass(frozen=True, eq=False)
class _Rows:
    X: Float
    """Scaled, before masking (n, d)."""
    scale: Float
    masked: Float
    hidden: NDArray[np.bool_]
    generator: np.random.Generator
    """Where it stands after these draws."""


@dataclass(frozen=True, eq=False)
class _Design:
    population: Population
    n: int
    mask_ratio: MaskRatio
    rescale: bool
    seen: Groups | Panel
    ridge: float
    batch_size: int
    seed: int
    calibrated: bool

    def draw(self, number: int) -> _Rows:
        generator = derive_generator(self.seed, "theory.simulate", number)
        X, scale = self.population.draw(self.n, generator)
        X = X * scale[:, None]
        ratios = draw_ratios(self.mask_ratio, self.n, generator, batch_size=self.batch_size)
        masked, hidden = mask(X, ratios, generator, rescale=self.rescale)
        return _Rows(X, scale, masked, hidden, generator)

    def error(self, X: Float, y: Float, b: Float) -> float:
        m = minimum_norm(X, y, ridge=self.ridge)
        return error_on_test(self.population.S, m, b, self.seen, rescale=self.rescale, calibrated=self.calibrated)


def _design(
    population: Population, n: int, mask_ratio: MaskRatio, test: MaskRatio | Panel | None, ridge: float, batch_size: int, seed: int,
    *, rescale: bool, calibrated: bool = False,
) -> _Design:  # fmt: skip
    ratio_nodes(mask_ratio)
    seen = test if isinstance(test, Panel) else mask_groups(0.0 if test is None else test, rescale=rescale)
    if isinstance(test, Panel):
        test.mask(len(population.S))
    counts = [_whole("n", n), _whole("batch_size", batch_size)]
    penalty = check_setting("ridge", ridge, 0)
    return _Design(population, counts[0], mask_ratio, rescale, seen, penalty, counts[1], seed, calibrated)


def _positions(genes: ArrayLike | None, d: int) -> NDArray[np.int64]:
    every = np.arange(d, dtype=np.int64)
    try:
        return every if genes is None else every[np.asarray(genes)].reshape(-1)
    except IndexError as error:
        message = f"genes does not fit a covariance of {d} genes: {error}. Needed are positions, or a boolean mask ({d},)."
        raise DataError(message) from error


def _whole(name: str, value: int) -> int:
    if check_setting(name, value, 1) != int(value):
        message = f"{name} is {value}; needed is a whole number: rows are drawn one by one."
        raise ConfigError(message)
    return int(value)
