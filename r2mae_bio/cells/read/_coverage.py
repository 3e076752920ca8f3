"""How much of a model's vocabulary a data set measures, in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio.cells.read._genes import strip_version

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CoverageReport", "guess_reason"]


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
    """Which names were compared, such as ``"var_names = gene_ids"`` (query = model)."""
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


def guess_reason(model: Sequence[str], query: Sequence[str]) -> str:
    """Why the names of a data set and of a model hardly match, and what to do about it, in one or
    two sentences.
    """
    exact = len(set(model) & set(query))
    if exact > 0.5 * len(set(query)):
        return (
            f"The names do agree ({exact:,} of the {len(set(query)):,}): this is a small panel. Lower min_coverage to accept it."
        )
    model_share, query_share = _ensembl_share(model), _ensembl_share(query)
    if max(model_share, query_share) > 0.5 and min(model_share, query_share) < 0.5:
        kinds = ("Ensembl ids", "gene symbols")
        needed, found = kinds if model_share > query_share else kinds[::-1]
        return f"The model uses {needed}, the data set {found}. Add a column with {needed} to adata.var, named 'gene_ids' or 'symbol'."
    if model_share > 0.5:
        return "Both sides are Ensembl ids, probably of different species; map them with an orthologue table first."
    folded = len({name.casefold() for name in model} & {name.casefold() for name in query})
    if folded > 2 * exact + 1:
        return (
            f"Ignoring upper and lower case {folded:,} names would match: probably human against mouse symbols. Map orthologues, "
            "or match them by pp.align_genes(case_sensitive=False) if equal letters do mean the same gene."
        )
    if all(name.isdigit() for name in query[:50]):
        return "The query's names are numbers, not genes: var_names were lost. Set adata.var_names to the gene names."
    return (
        "The names have little in common: check that adata.var_names hold gene names of the model's species and were not made "
        "unique or prefixed, and that the data set is the intended one. Lower min_coverage to accept a small panel."
    )


def _ensembl_share(names: Sequence[str]) -> float:
    return float(np.mean([strip_version(f"{name.split('.')[0]}.1") != f"{name.split('.')[0]}.1" for name in names] or [False]))


def _examples(names: Sequence[str]) -> str:
    return f" (such as {', '.join(names)})" if names else ""
