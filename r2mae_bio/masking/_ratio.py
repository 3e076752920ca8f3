"""Laws from which the mask ratio is drawn.

A law is defined by its quantile function, so sampling, tests and quadrature all use one formula.
The ratio is the share of the measured slots that is hidden.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from scipy import special

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Scope: TypeAlias = Literal["batch", "row", "rectangle"]
"""Whether one ratio is drawn for a whole minibatch or one for every row, or one ratio and one order
of the slots for all rows.
"""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, kw_only=True)
class RatioLaw(ABC):
    """Base of the laws. Immutable; the state of a draw lives in the generator that is passed in."""

    scope: Scope = "row"
    """One ratio per ``"row"`` (cell or window) or one per ``"batch"``, which hides other slots in
    every row; or, with ``"rectangle"``, one per batch that hides the same slots in all rows, as
    Stack (arc-stack 0.1) does: a control for what masks that differ between rows bring.
    """

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            message = f"scope is {self.scope!r}; needed is one of {', '.join(map(repr, SCOPES))}."
            raise ConfigError(message)
        self._check()

    @property
    def shared(self) -> bool:
        """Whether the rows of a minibatch have one ratio."""
        return self.scope != "row"

    @abstractmethod
    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        """Quantile function.

        Parameters
        ----------
        u
            Probabilities in [0, 1], any shape.
        progress
            Share of the training that is done, in [0, 1]; only a :class:`Schedule` uses it.

        Returns
        -------
        Ratios in [0, 1], the shape of ``u``.
        """

    def sample(self, size: int, generator: np.random.Generator, *, progress: float = 0.0) -> NDArray[np.float64]:
        """Draw the ratios of one minibatch.

        Parameters
        ----------
        size
            Number of rows.
        generator
            Source of randomness; one uniform number is drawn per ratio.
        progress
            Share of the training that is done, in [0, 1].

        Returns
        -------
        Ratios, shape (size,); all equal unless ``scope`` is ``"row"``.
        """
        draws = generator.random(1 if self.shared else size)
        return np.broadcast_to(self.quantile(draws, progress=progress), (size,)).copy()

    def quadrature(self, n_nodes: int = 32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ratios and weights whose weighted sums are means over the law.

        Parameters
        ----------
        n_nodes
            Number of Gauss-Legendre nodes in probability, for laws that are not discrete.

        Returns
        -------
        Ratios and weights, (K,) each; the weights sum to 1.
        """
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
        return np.asarray(self.quantile((nodes + 1) / 2), np.float64), weights / 2

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary from which :func:`ratio_law_from_json` makes an equal law."""
        return {"law": type(self).__name__, **dataclasses.asdict(self)}

    def _check(self) -> None:  # noqa: B027 - a law without parameters has nothing to refuse
        """Refuse parameters that make no law."""


def _needs(condition: bool, law: RatioLaw, what: str) -> None:  # noqa: FBT001
    if not condition:
        message = f"{law} is no law of mask ratios; needed is {what}."
        raise ConfigError(message)


@dataclass(frozen=True)
class Uniform(RatioLaw):
    """Uniform on [low, high]: the randomly random mask of R2MAE (Dong, Wang, Kluger 2025, arXiv
    2509.21650).
    """

    low: float = 0.0
    high: float = 1.0

    def _check(self) -> None:
        _needs(0 <= self.low <= self.high <= 1, self, "0 <= low <= high <= 1")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        return self.low + (self.high - self.low) * np.asarray(u, np.float64)


@dataclass(frozen=True)
class Fixed(RatioLaw):
    """The same ratio for ever."""

    ratio: float = 0.5

    def _check(self) -> None:
        _needs(0 <= self.ratio <= 1, self, "0 <= ratio <= 1")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        return np.full(np.shape(u), float(self.ratio))

    def quadrature(self, n_nodes: int = 32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([float(self.ratio)]), np.ones(1)


@dataclass(frozen=True)
class Schedule(RatioLaw):
    """A ratio that moves from ``start`` to ``end`` during training.

    ``Schedule(0.30, 0.15)`` is the dynamic masking ratio of Ankner et al. (2023, arXiv 2305.15096):
    from 30% to 15% along a line, while BERT is trained. It is what a random ratio is compared with,
    the "dynamic MR" of the R2MAE paper.
    """

    start: float = 0.9
    end: float = 0.15
    kind: Literal["linear", "cosine"] = "linear"

    def _check(self) -> None:
        _needs(0 <= self.start <= 1 and 0 <= self.end <= 1, self, "start and end in [0, 1]")
        _needs(self.kind in ("linear", "cosine"), self, "kind 'linear' or 'cosine'")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        t = min(max(float(progress), 0.0), 1.0)
        done = t if self.kind == "linear" else (1 - np.cos(np.pi * t)) / 2
        return np.full(np.shape(u), self.start + (self.end - self.start) * done)

    def quadrature(self, n_nodes: int = 32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mixture over the whole training, as a learner without memory for order would see
        it.
        """
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
        ratios = [self.quantile(0.5, progress=(x + 1) / 2) for x in nodes]
        return np.asarray(ratios, np.float64).reshape(-1), weights / 2


@dataclass(frozen=True)
class Choice(RatioLaw):
    """One of a list of ratios, equally likely unless ``weights`` are given."""

    ratios: tuple[float, ...] = (0.25, 0.5, 0.75)
    weights: tuple[float, ...] | None = None

    def _check(self) -> None:
        object.__setattr__(self, "ratios", tuple(float(r) for r in self.ratios))
        _needs(len(self.ratios) > 0 and all(0 <= r <= 1 for r in self.ratios), self, "at least one ratio, all in [0, 1]")
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
            _needs(len(self.weights) == len(self.ratios), self, "one weight per ratio")
            _needs(min(self.weights) >= 0 and sum(self.weights) > 0, self, "weights of at least 0 with a positive sum")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        order = np.argsort(self.ratios, kind="stable")
        cumulative = np.cumsum(self._shares()[order])
        index = np.searchsorted(cumulative[:-1], np.asarray(u, np.float64), side="right")
        return np.asarray(self.ratios)[order][index]

    def quadrature(self, n_nodes: int = 32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.ratios), self._shares()

    def _shares(self) -> NDArray[np.float64]:
        weights = np.ones(len(self.ratios)) if self.weights is None else np.asarray(self.weights)
        return np.asarray(weights / weights.sum(), np.float64)


@dataclass(frozen=True)
class Beta(RatioLaw):
    """``high`` times a Beta(a, b) variable; a per-row Beta is what CellPLM trains with."""

    a: float = 2.0
    b: float = 2.0
    high: float = 1.0

    def _check(self) -> None:
        _needs(self.a > 0 and self.b > 0 and 0 < self.high <= 1, self, "a > 0, b > 0 and 0 < high <= 1")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        u = np.asarray(u, np.float64)
        with np.errstate(all="ignore"):
            found = special.betaincinv(self.a, self.b, u)
        return np.asarray(
            self.high * np.where(np.isnan(found) & (u < 0.5), 0.0, found), np.float64
        )  # scipy's inverse fails near 0


@dataclass(frozen=True)
class LogUniformVisible(RatioLaw):
    """The visible share is log-uniform on [low, 1]: every order of magnitude of panel size is
    equally likely.
    """

    low: float = 0.01

    def _check(self) -> None:
        _needs(0 < self.low <= 1, self, "0 < low <= 1")

    def quantile(self, u: ArrayLike, *, progress: float = 0.0) -> NDArray[np.float64]:
        return 1.0 - self.low ** np.asarray(u, np.float64)


_LAWS: dict[str, type[RatioLaw]] = {law.__name__: law for law in (Beta, Choice, Fixed, LogUniformVisible, Schedule, Uniform)}


def as_ratio_law(mask_ratio: float | tuple[float, float] | RatioLaw) -> RatioLaw:
    """What a user may pass as ``mask_ratio``: a number is :class:`Fixed`, a pair is
    :class:`Uniform`, a law is itself.

    Parameters
    ----------
    mask_ratio
        A number in [0, 1], a pair ``(low, high)``, or a law.

    Returns
    -------
    The law.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    if isinstance(mask_ratio, RatioLaw):
        return mask_ratio
    if _is_number(mask_ratio):
        return Fixed(float(mask_ratio))  # type: ignore[arg-type]
    if isinstance(mask_ratio, (tuple, list)) and len(mask_ratio) == 2 and all(map(_is_number, mask_ratio)):
        return Uniform(float(mask_ratio[0]), float(mask_ratio[1]))
    message = f"mask_ratio is {mask_ratio!r}; needed is a number in [0, 1], a pair (low, high) or a law such as masking.Choice."
    raise ConfigError(message)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)


def ratio_law_from_json(data: dict[str, Any]) -> RatioLaw:
    """Make the law that :meth:`RatioLaw.to_json` described.

    Parameters
    ----------
    data
        The dictionary; lists stand for tuples.

    Returns
    -------
    The law.

    Raises
    ------
    ConfigError
        The law is unknown or its parameters are.
    """
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    law = _LAWS.get(str(fields.pop("law", None)))
    if law is None or not set(fields) <= {f.name for f in dataclasses.fields(law)}:
        message = f"{data!r} describes no law of mask ratios; known laws are {', '.join(_LAWS)}."
        raise ConfigError(message)
    return law(**fields)
