"""Match the columns of a data set with the genes of a model, by name and never by position."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import DataError, DuplicateGenesError, GeneCoverageError, GeneIdentityError
from r2mae_bio._warn import warn
from r2mae_bio.cells.read._coverage import CoverageFloor, CoverageReport
from r2mae_bio.cells.read._genes import check_duplicates_option, gene_aliases, has_name, measured_genes, strip_version
from r2mae_bio.cells.read._panels import read_panels
from r2mae_bio.cells.read._styles import are_positions, guess_reason, other_species, other_style, repeats_made_unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._genes import GeneVocabulary
    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["GeneAlignment", "align_anndata", "align_genes", "spread_over_columns"]

_WEAK: Final = 0.05
"""Share of the genes that a pair of names must match to be preferred to names that only count."""
_LOW: Final = 0.5
"""Share of the genes below which it is asked whether another style of names would match more."""


@dataclass(frozen=True, eq=False)
class GeneAlignment:
    """Where every column of a data set belongs in a model's vocabulary."""

    column_to_gene: NDArray[np.int64]
    """Vocabulary position of each column, -1 for columns that are not used, shape (columns,)."""
    measured: NDArray[np.bool_]
    """Whether each gene of the vocabulary was measured, in some cells at least, shape (genes,)."""
    report: CoverageReport
    """What was matched, in numbers."""
    panels: CellPanels | None = None
    """Columns that were measured in each cell of the data set; None if all used ones were in all.
    """

    @property
    def is_identity(self) -> bool:
        """Whether column ``i`` is gene ``i``, for all columns and all genes."""
        n = self.column_to_gene.size
        return n == self.measured.size and bool(np.array_equal(self.column_to_gene, np.arange(n)))

    @property
    def gene_panels(self) -> CellPanels | None:
        """Genes of the vocabulary that were measured in each cell; None if all cells agree."""
        if self.panels is None:
            return None
        genes = np.zeros((len(self.panels.measured), self.measured.size), bool)
        panel, column = np.nonzero(self.panels.measured & (self.column_to_gene >= 0))
        genes[panel, self.column_to_gene[column]] = True
        merged = replace(self.panels, measured=genes).merged()
        return merged if len(merged.measured) > 1 else None

    @property
    def common(self) -> NDArray[np.bool_]:
        """Whether each gene of the vocabulary was measured in all cells, shape (genes,)."""
        panels = self.gene_panels
        return self.measured if panels is None else panels.everywhere


def align_anndata(
    vocabulary: GeneVocabulary,
    adata: AnnData,
    *,
    duplicates: str = "error",
    min_coverage: float | None = None,
    case_sensitive: bool = True,
) -> GeneAlignment:
    """Align an AnnData: its ``var_names``, the id columns of ``var``, ``var["measured"]`` (bool) if
    present, and what was measured in which cell if the data say so.

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

    Raises
    ------
    GeneCoverageError
        Too few genes were measured, be it in the cells of one panel alone.
    """
    measured, panels = measured_genes(adata.var), read_panels(adata)
    if panels is not None:
        measured = panels.somewhere if measured is None else measured & panels.somewhere
    alignment = align_genes(
        vocabulary,
        tuple(map(str, adata.var_names)),
        query_aliases=gene_aliases(adata.var),
        query_measured=measured,
        duplicates=duplicates,
        min_coverage=min_coverage,
        case_sensitive=case_sensitive,
    )
    if panels is None or len(panels.measured) == 1:
        return alignment
    alignment = replace(alignment, panels=panels)
    _check_panels(vocabulary, alignment, CoverageFloor.of(len(vocabulary), min_coverage))
    return alignment


def _check_panels(vocabulary: GeneVocabulary, alignment: GeneAlignment, floor: CoverageFloor) -> None:
    """Ask of each panel what is asked of a data set."""
    panels = alignment.gene_panels
    for name, genes in zip(panels.names, panels.measured, strict=True) if panels is not None else ():
        n_genes, share = int(genes.sum()), vocabulary.count_share(genes)
        if not floor.passed(n_genes, genes.size, share):
            message = (
                f"In cells of the panel of {name}, {n_genes:,} of the model's {genes.size:,} genes were measured{_which_hold(share)}; needed are at "
                f"least {floor.describe(genes.size)}. Leave these cells out, or lower min_coverage."
            )
            raise GeneCoverageError(message)


def align_genes(
    vocabulary: GeneVocabulary,
    query_names: Sequence[str],
    *,
    query_aliases: Mapping[str, Sequence[str]] | None = None,
    query_measured: NDArray[np.bool_] | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    case_sensitive: bool = True,
) -> GeneAlignment:
    """Find the model gene of every column.

    Every kind of name of the data set (``query_names``, then each alias column) is compared with
    every kind of name of the vocabulary; the pair that matches most genes one to one is used, the
    first in this order if several do. Columns that it leaves are matched with genes that it leaves
    by pairs that share a kind with it, for names may be mixed: symbols, and an Ensembl id where a
    gene has none. Versions of Ensembl ids are ignored. A name that stands for several genes of the
    vocabulary matches none of them. Names that only count the columns are compared where no others
    agree. Columns named as repeats that were made unique (``X-1`` beside ``X``) are those of the
    gene ``X`` with ``duplicates="sum"``; otherwise a warning names them.

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
        always an error. If None: 1%, of at least 20 genes (a tenth of the vocabulary if that is
        less), with a thousandth of the training counts.
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
    GeneIdentityError
        Two kinds of names say that the columns are different genes.
    """
    check_duplicates_option(duplicates)
    floor = CoverageFloor.of(len(vocabulary), min_coverage)
    kinds = {"var_names": query_names, **(query_aliases or {})}
    used = _used_columns(kinds, query_measured, len(query_names))
    id_kind, column_to_gene = _best_pair(vocabulary, kinds, used, case_sensitive=case_sensitive)
    column_to_gene = _with_repeats(query_names, used, column_to_gene, duplicates)
    measured = np.zeros(len(vocabulary), bool)
    measured[column_to_gene[column_to_gene >= 0]] = True
    report = _report(vocabulary, query_names, used, column_to_gene, measured, id_kind)
    names = [name for name, use in zip(query_names, used, strict=True) if use]
    if not floor.passed(report.matched, report.n_model, report.count_fraction):
        _raise_coverage(vocabulary, names, report, floor)
    _warn_of_style(vocabulary, names, report)
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


@dataclass(frozen=True, eq=False)
class _Pair:
    """A kind of names of the data set beside one of the vocabulary."""

    mine: str
    """The former, such as ``"var_names"``."""
    theirs: str
    """The latter, such as ``"gene_ids"``."""
    genes: NDArray[np.int64]
    """Vocabulary position of each column, -1 for none, (columns,)."""
    once: int
    """Genes that are matched by one column."""
    counts: bool
    """Whether one of the two only counts the columns."""

    @property
    def kind(self) -> str:
        """Both, such as ``"var_names = gene_ids"``."""
        return f"{self.mine} = {self.theirs}"


def _best_pair(
    vocabulary: GeneVocabulary, kinds: Mapping[str, Sequence[str]], used: NDArray[np.bool_], *, case_sensitive: bool
) -> tuple[str, NDArray[np.int64]]:
    pairs = _pairs(vocabulary, kinds, used, case_sensitive=case_sensitive)
    named = [pair for pair in pairs if not pair.counts]
    enough = _WEAK * min(len(vocabulary), int(used.sum()))
    best = max(named if any(pair.once > enough for pair in named) else pairs, key=lambda pair: pair.once)
    for other in named:
        _check_agreement(vocabulary, best, other)
    return best.kind, best.genes if best.counts else _completed(best, named, len(vocabulary))


def _completed(best: _Pair, named: Sequence[_Pair], n_genes: int) -> NDArray[np.int64]:
    """The gene of each column, with those that the best pair leaves matched by other pairs.

    Only pairs that share a side with it: where a data set or a model has the symbol of one gene and
    the id of another in one place, the name of a column, or of a gene, is of another kind there.
    Pairs of two other kinds would match a gene whose name of the best kind says otherwise.
    """
    genes = best.genes.copy()
    for other in sorted(named, key=lambda pair: -pair.once):
        if (other.mine == best.mine) == (other.theirs == best.theirs):
            continue
        taken = np.bincount(genes[genes >= 0], minlength=n_genes) > 0
        columns = np.flatnonzero((genes < 0) & (other.genes >= 0))
        found = other.genes[columns]
        sole = (np.bincount(found, minlength=n_genes) == 1) & ~taken
        genes[columns[sole[found]]] = found[sole[found]]
    return genes


def _pairs(
    vocabulary: GeneVocabulary, kinds: Mapping[str, Sequence[str]], used: NDArray[np.bool_], *, case_sensitive: bool
) -> list[_Pair]:
    model = {"var_names": vocabulary.names, **vocabulary.aliases}
    tables = {key: _lookup(_keys(names, case_sensitive=case_sensitive)) for key, names in model.items()}
    counting = {key for key, names in model.items() if are_positions(names)}
    pairs = []
    for kind, names in kinds.items():
        keys, counts = _keys(names, case_sensitive=case_sensitive), are_positions(names)
        for model_kind, table in tables.items():
            genes = np.fromiter((table.get(key, -1) for key in keys), np.int64, len(keys))
            genes[~used] = -1
            once = int(np.count_nonzero(np.bincount(genes[genes >= 0], minlength=1) == 1))
            pairs.append(_Pair(kind, model_kind, genes, once, counts or model_kind in counting))
    return pairs


def _check_agreement(vocabulary: GeneVocabulary, best: _Pair, other: _Pair) -> None:
    """Refuse ids that belong to other columns than the names do."""
    both = np.flatnonzero((best.genes >= 0) & (other.genes >= 0))
    differ = both[best.genes[both] != other.genes[both]]
    if 2 * other.once < best.once or 2 * differ.size <= both.size:
        return
    first, second = (vocabulary.names[pair.genes[differ[0]]] for pair in (best, other))
    message = (
        f"Names and ids of the data set contradict each other: of {both.size:,} columns that both {best.kind} and {other.kind} match, "
        f"{differ.size:,} are different genes; column {differ[0]} is {first!r} by the first and {second!r} by the second. One of the two "
        "was put into another order; restore it, or drop the column of adata.var that is wrong."
    )
    raise GeneIdentityError(message)


def _with_repeats(
    names: Sequence[str], used: NDArray[np.bool_], column_to_gene: NDArray[np.int64], duplicates: str
) -> NDArray[np.int64]:
    """Columns named as repeats of a gene that were made unique are its columns, if asked for."""
    repeats = np.where(used, repeats_made_unique(names, column_to_gene), -1)
    found = np.flatnonzero(repeats >= 0)
    if found.size and duplicates == "error":
        message = (
            f"{found.size} columns are named like further columns of a gene that were made unique, such as {names[found[0]]!r}; the "
            "model does not know them, and their counts are not used. Pass duplicates='sum' to add them to those of the gene."
        )
        warn(message)
        return column_to_gene
    return np.where(repeats >= 0, repeats, column_to_gene)


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
        count_fraction=vocabulary.count_share(measured),
        id_kind=id_kind,
        missing_examples=tuple(vocabulary.names[i] for i in missing[:5].tolist()),
        unknown_examples=tuple(query_names[i] for i in unknown[:5].tolist()),
    )


def _raise_coverage(vocabulary: GeneVocabulary, query: Sequence[str], report: CoverageReport, floor: CoverageFloor) -> None:
    message = (
        f"The data set measures {report.matched:,} of the model's {report.n_model:,} genes ({report.matched_fraction:.2%})"
        f"{_which_hold(report.count_fraction)}; needed are at least {floor.describe(report.n_model)}. Model genes: "
        f"{list(vocabulary.names[:5])}; genes of the data set: {list(query[:5])}. {guess_reason(vocabulary.names, query)}"
    )
    raise GeneCoverageError(message)


def _which_hold(count_share: float) -> str:
    """What genes hold of the training counts, for messages; nothing if that is not known."""
    return "" if math.isnan(count_share) else f", which hold {count_share:.2%} of its training counts"


def _warn_of_style(vocabulary: GeneVocabulary, query: Sequence[str], report: CoverageReport) -> None:
    """Enough genes may match by chance, where names of another style would match many more; and
    most may match though they are of another species, once all are in upper case.
    """
    few = report.matched < _LOW * min(report.n_model, report.n_query)
    style = other_style(vocabulary.names, query) if few else ""
    style = style or other_species(vocabulary.names, query)
    if style:
        warn(f"The data set measures {report.matched:,} of the model's {report.n_model:,} genes by their names. {style}")


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
