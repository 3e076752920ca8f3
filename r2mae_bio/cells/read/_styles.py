"""Styles in which genes are named: why names of a data set and of a model do not meet, and what to
do about it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio.cells.read._genes import strip_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["are_positions", "guess_reason", "other_species", "other_style", "repeats_made_unique"]

_ASSEMBLY: Final = re.compile(r"[A-Za-z]{1,8}\d{1,3}_+")
"""What stands before the names where reads of several species were aligned together."""
_REPEAT: Final = re.compile(r"(.+)[-.]\d+")
"""How the second column of a gene is called once names were made unique, by anndata or by R."""
_OF_ONE_SPECIES: Final = {
    "mouse": re.compile(r"\d{7}[A-Z]\d\dRIK\d*|GM\d{3,5}", re.IGNORECASE),
    "human": re.compile(r"LINC\d{5}", re.IGNORECASE),
}
"""Symbols that one species alone has: clones and predicted genes. Others differ in case alone."""
_ENOUGH_OF_A_SPECIES: Final = 20
_SMALL_PANEL: Final = 0.5
_MANY: Final = 3


def are_positions(names: Sequence[str]) -> bool:
    """Whether the names only count the columns, from 0 or 1, as after an index was reset."""
    n = len(names)
    return n > 1 and names[0] in {"0", "1"} and all(name == str(i) for i, name in enumerate(names, int(names[0])))


def repeats_made_unique(names: Sequence[str], column_to_gene: NDArray[np.int64]) -> NDArray[np.int64]:
    """Genes of columns that no gene is called by, but another column's gene is, a number aside.

    Parameters
    ----------
    names
        ``var_names`` of the data set, length (columns,).
    column_to_gene
        Vocabulary position of each column, -1 for none, (columns,).

    Returns
    -------
    The gene of ``X`` for an unknown ``X-1`` or ``X.1``, -1 for all other columns, (columns,).
    """
    known = {names[i]: int(column_to_gene[i]) for i in np.flatnonzero(column_to_gene >= 0).tolist()}
    found = np.full(len(names), -1, np.int64)
    for i in np.flatnonzero(column_to_gene < 0).tolist():
        match = _REPEAT.fullmatch(names[i])
        if match:
            found[i] = known.get(match.group(1), -1)
    return found


def other_style(model: Sequence[str], query: Sequence[str]) -> str:
    """Under which style many more names would agree, and what to do then; empty if under none.

    Parameters
    ----------
    model, query
        Names of genes.
    """
    exact = len(set(model) & set(query))
    enough = _MANY * exact + 1
    prefix = _common_prefix(query)
    bare = len(set(model) & {name.removeprefix(prefix) for name in query}) if prefix else 0
    if bare >= enough:
        return (
            f"Without the prefix {prefix!r}, that of an assembly, {bare:,} names agree: remove it by "
            f"adata.var_names = adata.var_names.str.removeprefix({prefix!r})."
        )
    folded = len({name.casefold() for name in model} & {name.casefold() for name in query})
    if folded >= enough:
        return (
            f"Ignoring upper and lower case {folded:,} names would match: probably human against mouse symbols. Map orthologues, "
            "or match them by pp.align_genes(case_sensitive=False) if equal letters do mean the same gene."
        )
    return ""


def other_species(model: Sequence[str], query: Sequence[str]) -> str:
    """What says that symbols are of another species, and what to do then; empty if nothing does.

    Parameters
    ----------
    model, query
        Names of genes.
    """
    for species, symbol in _OF_ONE_SPECIES.items():
        found = [name for name in query if symbol.fullmatch(name)]
        if len(found) >= _ENOUGH_OF_A_SPECIES and not any(map(symbol.fullmatch, model)):
            return (
                f"{len(found):,} names of the data set, such as {found[0]}, are those of {species} genes, and none of the model's "
                "are: equal letters do not make genes of two species one. Map orthologues first."
            )
    return ""


def _common_prefix(names: Sequence[str]) -> str:
    """What most names begin with, if it looks like an assembly."""
    found = Counter(match.group() for match in map(_ASSEMBLY.match, names) if match)
    return found.most_common(1)[0][0] if found and found.most_common(1)[0][1] * 3 > len(names) else ""


def guess_reason(model: Sequence[str], query: Sequence[str]) -> str:
    """Why the names of a data set and of a model hardly match, and what to do about it, in one or
    two sentences.
    """
    exact = len(set(model) & set(query))
    if exact > _SMALL_PANEL * len(set(query)):
        return (
            f"The names do agree ({exact:,} of the {len(set(query)):,}): this is a small panel. Lower min_coverage to accept it."
        )
    model_share, query_share = _ensembl_share(model), _ensembl_share(query)
    if max(model_share, query_share) > 0.5 and min(model_share, query_share) < 0.5:
        kinds = {"Ensembl ids": "gene_ids", "gene symbols": "symbol"}
        needed, found = kinds if model_share > query_share else reversed(kinds)
        return f"The model uses {needed}, the data set {found}. Add a column with {needed} to adata.var, named {kinds[needed]!r}."
    if model_share > 0.5:
        return "Both sides are Ensembl ids, probably of different species; map them with an orthologue table first."
    if style := other_style(model, query):
        return style
    if all(name.isdigit() for name in query[:50]):
        return "The query's names are numbers, not genes: var_names were lost. Set adata.var_names to the gene names."
    return (
        "The names have little in common: check that adata.var_names hold gene names of the model's species and were not made "
        "unique or prefixed, and that the data set is the intended one. Lower min_coverage to accept a small panel."
    )


def _ensembl_share(names: Sequence[str]) -> float:
    return float(np.mean([strip_version(f"{name.split('.')[0]}.1") != f"{name.split('.')[0]}.1" for name in names] or [False]))
