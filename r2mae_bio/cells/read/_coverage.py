"""How much of a model's vocabulary a data set measures, in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MIN_COVERAGE", "CoverageFloor", "CoverageReport"]

MIN_COVERAGE: Final = 0.01
"""Smallest accepted share of the model's genes: a panel of 300 among 20,000 genes passes, a wrong
id system does not.
"""
_FEWEST: Final = 20
_FEWEST_SHARE: Final = 0.1
_LEAST_COUNTS: Final = 0.001


@dataclass(frozen=True)
class CoverageFloor:
    """How many of a model's genes a data set must measure."""

    genes: int
    """Genes."""
    share: float
    """Share of the genes, in [0, 1]."""
    counts: float
    """Share of the training counts that lies in these genes, in [0, 1]."""

    @classmethod
    def of(cls, n_model: int, min_coverage: float | None) -> Self:
        """The floor for a model.

        Parameters
        ----------
        n_model
            Genes of the model.
        min_coverage
            Share of the genes that the user asks for, which is then all that is asked. If None: 1%
            of the genes, 20 genes or a tenth of them, whichever is less, and a thousandth of the
            counts: names of another species agree in a handful of genes by chance.

        Raises
        ------
        ConfigError
            ``min_coverage`` is no share.
        """
        if min_coverage is None:
            return cls(min(_FEWEST, math.ceil(_FEWEST_SHARE * n_model)), MIN_COVERAGE, _LEAST_COUNTS)
        if not isinstance(min_coverage, Real) or not 0 <= min_coverage <= 1:
            message = f"min_coverage={min_coverage!r} is not a fraction; pass a number from 0 to 1."
            raise ConfigError(message)
        return cls(1, min_coverage, 0.0)

    def passed(self, matched: int, n_model: int, counts: float) -> bool:
        """Whether so many genes are enough; a share of the counts that is not known (NaN) is."""
        return matched >= self.genes and matched >= self.share * n_model and not counts < self.counts

    def describe(self, n_model: int) -> str:
        """What is needed, for messages."""
        n_genes = max(self.genes, math.ceil(self.share * n_model))
        counts = f" and {self.counts:.2%} of the counts" if self.counts else ""
        return f"{n_genes:,} genes ({n_genes / n_model:.2%}){counts}"


@dataclass(frozen=True)
class CoverageReport:
    """Result of matching the genes of a data set with those of a model."""

    n_model: int
    """Genes of the model."""
    n_query: int
    """Columns of the data set that were measured."""
    matched: int
    """Genes of the model that the data set measures."""
    missing: int
    """Genes of the model that it does not measure; they are hidden from the model, not zero."""
    unknown: int
    """Columns of the data set that the model does not know; they are not used."""
    duplicated: int
    """Columns beyond the first that map to a gene already matched; they are added up."""
    matched_fraction: float
    """``matched / n_model``, in [0, 1]."""
    count_fraction: float
    """Fraction of the training counts that lies in matched genes, in [0, 1]; NaN if the training
    counts are not known.
    """
    id_kind: str
    """Which names match most genes, such as ``"var_names = gene_ids"`` (query = model)."""
    missing_examples: tuple[str, ...] = ()
    """Some missing genes, those with most training counts first."""
    unknown_examples: tuple[str, ...] = ()
    """Some unknown columns."""

    def to_uns(self) -> dict[str, Any]:
        """The report as int, float, str and arrays of str, to be stored in ``adata.uns`` and
        written to h5ad.
        """
        numbers = {key: value for key, value in vars(self).items() if not key.endswith("_examples")}
        lists = {key: np.array(value, dtype=object) for key, value in vars(self).items() if key.endswith("_examples")}
        return numbers | lists

    def __str__(self) -> str:
        counts = "unknown" if math.isnan(self.count_fraction) else f"{self.count_fraction:.1%}"
        lines = [
            f"{self.matched:,} of {self.n_model:,} model genes measured ({self.matched_fraction:.1%}; "
            f"share of training counts: {counts}), matched by {self.id_kind}",
            f"{self.missing:,} model genes not measured, hidden from the model{_examples(self.missing_examples)}",
            f"{self.unknown:,} of {self.n_query:,} columns unknown to the model, not used{_examples(self.unknown_examples)}",
        ]
        if self.duplicated:
            lines.append(f"{self.duplicated:,} columns repeat a gene and are added up")
        return "\n".join(lines)


def _examples(names: Sequence[str]) -> str:
    return f" (such as {', '.join(names)})" if names else ""
