"""Match the columns of a data set with the genes of a model, by name and never by position."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, DuplicateGenesError, GeneCoverageError
from r2mae_bio.cells.read._coverage import CoverageReport, guess_reason
from r2mae_bio.cells.read._genes import check_duplicates_option, gene_aliases, has_name, measured_genes, strip_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._genes import GeneVocabulary

__all__ = ["MIN_COVERAGE", "GeneAlignment", "align_anndata", "align_genes", "spread_over_columns"]

MIN_COVERAGE: Final = 0.01
"""Smallest accepted share of the model's genes: a panel of 300 among 20,000 genes passes, a wrong
id system does not.
"""


@dataclass(frozen=True, eq=False)
class GeneAlignment:
    """Where every column of a data set belongs in a model's vocabulary."""

    column_to_gene: NDArray[np.int64]
    """Vocabulary position of each column, -1 for columns that are not used, shape (columns,)."""
    measured: NDArray[np.bool_]
    """Whether each gene of the vocabulary was measured, shape (genes,)."""
    report: CoverageReport
    """What was matched, in numbers."""

    @property
    def is_identity(self) -> bool:
        """Whether column ``i`` is gene ``i``, for all columns and all genes."""
        n = self.column_to_gene.size
        return n == self.measured.size and bool(np.array_equal(self.column_to_gene, np.arange(n)))


def align_anndata(
    vocabulary: GeneVocabulary,
    adata: AnnData,
    *,
    duplicates: str = "error",
    min_coverage: float = MIN_COVERAGE,
    case_sensitive: bool = True,
) -> GeneAlignment:
    """Align an AnnData: its ``var_names``, the id columns of ``var``, and ``var["measured"]``
    (bool) if present.

    Parameters
    ----------
    vocabulary
        The genes of the model.
    adata
        The data set.
    duplicates, min_coverage, case_sensitive
        As in :func:`align_genes`, which also lists the errors.

    Returns
    -------
    The alignment of the columns of ``adata``.
    """
    return align_genes(
        vocabulary,
        tuple(map(str, adata.var_names)),
        query_aliases=gene_aliases(adata.var),
        query_measured=measured_genes(adata.var),
        duplicates=duplicates,
        min_coverage=min_coverage,
        case_sensitive=case_sensitive,
    )


def align_genes(
    vocabulary: GeneVocabulary,
    query_names: Sequence[str],
    *,
    query_aliases: Mapping[str, Sequence[str]] | None = None,
    query_measured: NDArray[np.bool_] | None = None,
    duplicates: str = "error",
    min_coverage: float = MIN_COVERAGE,
    case_sensitive: bool = True,
) -> GeneAlignment:
    """Find the model gene of every column.

    Every kind of name of the data set (``query_names``, then each alias column) is compared with
    every kind of name of the vocabulary; the pair that matches most genes one to one is used, the
    first in this order if several do. Versions of Ensembl ids are ignored. A name that stands for
    several genes of the vocabulary matches none of them.

    Parameters
    ----------
    vocabulary
        The genes of the model.
    query_names
        ``var_names`` of the data set, length (columns,).
    query_aliases
        Further names of the columns, each of length (columns,); see ``gene_aliases``.
    query_measured
        Shape (columns,); False marks columns that hold no measurement and are treated as absent.
    duplicates
        What to do with several columns of one gene: ``"error"`` or ``"sum"``.
    min_coverage
        Smallest accepted fraction of the vocabulary that is matched, in [0, 1]; no match at all is
        always an error.
    case_sensitive
        Whether upper and lower case differ. Human and mouse symbols differ by case only, so the
        default is True.

    Returns
    -------
    The alignment and a report of it.

    Raises
    ------
    ConfigError
        ``duplicates`` is not known or ``min_coverage`` outside [0, 1].
    DataError
        An alias column or ``query_measured`` has the wrong length.
    DuplicateGenesError
        Several columns map to one gene and ``duplicates="error"``.
    GeneCoverageError
        Too few genes of the vocabulary are measured.
    """
    check_duplicates_option(duplicates)
    if not 0 <= min_coverage <= 1:
        message = f"min_coverage={min_coverage} is not a fraction; pass a number from 0 to 1."
        raise ConfigError(message)
    kinds = {"var_names": query_names, **(query_aliases or {})}
    used = _used_columns(kinds, query_measured, len(query_names))
    id_kind, column_to_gene = _best_pair(vocabulary, kinds, used, case_sensitive=case_sensitive)
    measured = np.zeros(len(vocabulary), bool)
    measured[column_to_gene[column_to_gene >= 0]] = True
    report = _report(vocabulary, query_names, used, column_to_gene, measured, id_kind)
    if report.matched == 0 or report.matched_fraction < min_coverage:
        _raise_coverage(vocabulary, [name for name, use in zip(query_names, used, strict=True) if use], report, min_coverage)
    if duplicates == "error" and report.duplicated:
        _raise_duplicates(vocabulary, query_names, column_to_gene)
    return GeneAlignment(column_to_gene, measured, report)


def _used_columns(kinds: Mapping[str, Sequence[str]], query_measured: Any, n: int) -> NDArray[np.bool_]:
    used = np.ones(n, bool) if query_measured is None else np.asarray(query_measured, bool)
    sizes = {"measured": used.size, **{key: len(column) for key, column in kinds.items()}}
    wrong = {key: size for key, size in sizes.items() if size != n}
    if wrong:
        message = f"The data set has {n} columns, but these have another length: {wrong}. Pass one entry per column."
        raise DataError(message)
    return used


def _keys(names: Sequence[str], *, case_sensitive: bool) -> list[str]:
    keys = [strip_version(name) for name in names]
    return keys if case_sensitive else [key.casefold() for key in keys]


def _best_pair(
    vocabulary: GeneVocabulary, kinds: Mapping[str, Sequence[str]], used: NDArray[np.bool_], *, case_sensitive: bool
) -> tuple[str, NDArray[np.int64]]:
    best, score = ("var_names = var_names", np.full(used.size, -1, np.int64)), -1
    tables = {
        key: _lookup(_keys(names, case_sensitive=case_sensitive))
        for key, names in {"var_names": vocabulary.names, **vocabulary.aliases}.items()
    }
    for kind, names in kinds.items():
        keys = _keys(names, case_sensitive=case_sensitive)
        for model_kind, table in tables.items():
            genes = np.fromiter((table.get(key, -1) for key in keys), np.int64, len(keys))
            genes[~used] = -1
            once = int(np.count_nonzero(np.bincount(genes[genes >= 0], minlength=1) == 1))
            if once > score:
                best, score = (f"{kind} = {model_kind}", genes), once
    return best


def _lookup(keys: Sequence[str]) -> dict[str, int]:
    times = Counter(keys)
    return {key: i for i, key in enumerate(keys) if times[key] == 1 and has_name(key)}


def _report(
    vocabulary: GeneVocabulary,
    query_names: Sequence[str],
    used: NDArray[np.bool_],
    column_to_gene: NDArray[np.int64],
    measured: NDArray[np.bool_],
    id_kind: str,
) -> CoverageReport:
    n_used, matched, columns = int(used.sum()), int(measured.sum()), int((column_to_gene >= 0).sum())
    total = float(vocabulary.totals.sum())
    missing = np.flatnonzero(~measured)
    missing = missing[np.argsort(-vocabulary.totals[missing], kind="stable")]
    unknown = np.flatnonzero(used & (column_to_gene < 0))
    return CoverageReport(
        n_model=len(vocabulary),
        n_query=n_used,
        matched=matched,
        missing=missing.size,
        unknown=unknown.size,
        duplicated=columns - matched,
        matched_fraction=matched / len(vocabulary),
        count_fraction=float(vocabulary.totals[measured].sum()) / total if total else float("nan"),
        id_kind=id_kind,
        missing_examples=tuple(vocabulary.names[i] for i in missing[:5].tolist()),
        unknown_examples=tuple(query_names[i] for i in unknown[:5].tolist()),
    )


def _raise_coverage(vocabulary: GeneVocabulary, query: Sequence[str], report: CoverageReport, min_coverage: float) -> None:
    message = (
        f"The data set measures {report.matched:,} of the model's {report.n_model:,} genes ({report.matched_fraction:.2%}); at least "
        f"{max(min_coverage, 1 / report.n_model):.2%} is needed. Model genes: {list(vocabulary.names[:5])}; genes of the data set: "
        f"{list(query[:5])}. {guess_reason(vocabulary.names, query)}"
    )
    raise GeneCoverageError(message)


def _raise_duplicates(vocabulary: GeneVocabulary, query_names: Sequence[str], column_to_gene: NDArray[np.int64]) -> None:
    columns = np.bincount(column_to_gene[column_to_gene >= 0], minlength=len(vocabulary))
    repeated = np.flatnonzero(columns > 1)
    gene = int(repeated[0])
    same = [query_names[i] for i in np.flatnonzero(column_to_gene == gene)[:3].tolist()]
    message = (
        f"{repeated.size:,} genes are held by more than one column, for example {[vocabulary.names[i] for i in repeated[:5].tolist()]} "
        f"({vocabulary.names[gene]!r} by {int(columns[gene])} columns: {same}). One column per gene is needed. Pass duplicates='sum' "
        "to add such columns up. adata.var_names_make_unique() is no remedy: it renames the second column ('X-1'), which then "
        "matches no gene, and its counts are lost."
    )
    raise DuplicateGenesError(message)


def spread_over_columns(rows: NDArray[Any], column_to_gene: NDArray[np.int64]) -> NDArray[np.float32]:
    """One row for every column of a data set.

    Parameters
    ----------
    rows
        One row per gene of the vocabulary, (genes, k).
    column_to_gene
        Vocabulary position of each column, -1 for none, (columns,).

    Returns
    -------
    The rows of the columns' genes, NaN for columns without one, (columns, k).
    """
    spread = np.full((column_to_gene.size, rows.shape[1]), np.nan, np.float32)
    known = column_to_gene >= 0
    spread[known] = rows[column_to_gene[known]]
    return spread
