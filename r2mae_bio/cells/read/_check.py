"""Is this matrix what the likelihood needs? Every entry is looked at; nothing is sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from r2mae_bio._errors import (
    DataError,
    EmptyCellsError,
    FractionalCountsError,
    LogTransformedError,
    NegativeCountsError,
    NonFiniteError,
)
from r2mae_bio.cells.read._matrix import check_supported, iter_entries, remembered
from r2mae_bio.cells.read._stored import known_indices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.cells.read._matrix import Entries
    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["CountReport", "advise", "check_counts", "check_finite"]

_MAX_LOG: Final = 20.0
"""No logarithm of a count reaches this: ``exp(20)`` is half a billion."""
_CONSTANT: Final = 0.02
"""Coefficient of variation below which row sums count as one common target."""
_LARGEST: Final = float(np.finfo(np.float32).max)
"""Networks read single precision, in which a larger number is infinite."""
_WHOLE: Final = 0.8
"""Share of entries that must be whole multiples of their cell's smallest value; chance alone gives
0.1.
"""
_PIECE: Final = 1 << 15
"""Values looked at together, so few that they stay in a processor's cache."""
_ADVICE: Final = "Use the raw counts, which are often in adata.raw.to_adata() or layer='counts'."
"""For a matrix of which nobody knows where it is from."""

_UNLOG: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "natural": np.expm1,
    "base-2": lambda x: np.exp2(x) - 1,
    "base-10": lambda x: 10.0**x - 1,
}


@dataclass(frozen=True)
class CountReport:
    """What a full scan of a count matrix found."""

    n_cells: int
    """Rows."""
    n_genes: int
    """Columns."""
    nnz: int
    """Entries that are not zero."""
    total: float
    """Sum of all counts."""
    max_value: float
    """Largest count."""
    min_counts_per_cell: float
    """Smallest row sum."""
    median_counts_per_cell: float
    """Median row sum."""
    max_counts_per_cell: float
    """Largest row sum."""


def check_counts(
    matrix: Any,
    *,
    where: str,
    obs_names: Sequence[str],
    var_names: Sequence[str],
    panels: CellPanels | None = None,
    watch: Callable[[Entries], None] | None = None,
    advice: str = _ADVICE,
) -> CountReport:
    """Make sure that a matrix holds raw counts: look at every entry, in blocks, without a dense
    copy.

    A value is whole when it equals its nearest integer exactly; integers stored as floating point
    are exact (up to ``2**24`` for float32), so no tolerance is needed. Values that are not whole
    count as *log-transformed* if the largest is below 20 and undoing the logarithm (natural, base 2
    or base 10) explains them better than leaving it: either the row sums become equal (coefficient
    of variation below 2%), or at least 80% of the entries become whole multiples (within 0.05) of
    the smallest non-zero value of their cell. All other non-whole values count as *fractional*.

    Parameters
    ----------
    matrix
        Shape (cells, genes), in counts: dense, CSR, CSC, ``numpy.matrix`` or backed by a file.
    where
        How the user calls the matrix, such as ``"adata.X"``; used in messages.
    obs_names, var_names
        Names of cells and genes, lengths (cells,) and (genes,); used in messages.
    panels
        Which columns were measured in which cell; what others hold is not looked at. All if None.
    watch
        Is shown the entries, some at a time.
    advice
        What to do where they are no counts, for messages; see :func:`advise`.

    Returns
    -------
    Size and depth of the matrix.

    Raises
    ------
    DataError
        Not a two-dimensional matrix of real numbers, or no cells, or no genes.
    NonFiniteError, NegativeCountsError, LogTransformedError, FractionalCountsError, EmptyCellsError
        In this order: the first that applies.
    """
    scan = _scan(matrix, where, panels, watch)
    names = (where, obs_names, var_names)
    _raise_nonfinite(scan.nonfinite, *names)
    if scan.negative.count:
        message = (
            f"{scan.negative.describe(*names, 'negative values')} Counts cannot be negative: the matrix is probably scaled or "
            f"batch-corrected. {advice}"
        )
        raise NegativeCountsError(message)
    if scan.fractional.count:
        _raise_fractional(partial(iter_entries, matrix, panels=panels), scan, *names, advice)
    _raise_empty(scan.totals, where, obs_names)
    return _report(scan, matrix.shape)


def advise(adata: Any, layer: str | None, *, likelihood: bool = False) -> str:
    """What to do where a matrix of a data set holds no counts, in a sentence that names only what
    there is.

    Parameters
    ----------
    adata
        The data set.
    layer
        Layer of the matrix; ``X`` if None.
    likelihood
        Whether what was called takes ``gene_likelihood``.
    """
    places = []
    if layer != "counts" and "counts" in getattr(adata, "layers", ()):
        places.append("layer='counts'")
    if getattr(adata, "raw", None) is not None:
        places.append("adata.raw.to_adata(), if that holds them")
    found = f" ({' or '.join(places)})" if places else ""
    instead = ", or gene_likelihood='normal' to model the values as they are" if likelihood else ""
    return f"Use the raw counts{found}{instead}."


def check_finite(
    matrix: Any,
    *,
    where: str,
    obs_names: Sequence[str],
    var_names: Sequence[str],
    panels: CellPanels | None = None,
    watch: Callable[[Entries], None] | None = None,
) -> None:
    """Make sure that a matrix holds no NaN and no infinity; any other real number is accepted.

    Parameters
    ----------
    matrix, where, obs_names, var_names, panels, watch
        As in :func:`check_counts`; the values may be any expression measure.

    Raises
    ------
    DataError
        Not a two-dimensional matrix of real numbers, or no cells, or no genes.
    NonFiniteError
        Some value is NaN or infinite, or is so in single precision.
    """
    _raise_nonfinite(_scan(matrix, where, panels, watch).nonfinite, where, obs_names, var_names)


@dataclass
class _Fault:
    """How many entries break a rule, and the first of them in reading order, whatever the storage
    order.
    """

    count: int = 0
    first: tuple[int, int] = (-1, -1)
    value: float = 0.0

    def add(self, part: Entries, broken: NDArray[np.bool_]) -> None:
        where = np.flatnonzero(broken)
        if where.size == 0:
            return
        rows, cols = part.rows[where], part.cols[where]
        best = np.lexsort((cols, rows))[0]
        place = (int(rows[best]), int(cols[best]))
        if self.count == 0 or place < self.first:
            self.first, self.value = place, float(part.values[where[best]])
        self.count += where.size

    def describe(self, where: str, obs_names: Sequence[str], var_names: Sequence[str], what: str) -> str:
        cell, gene = obs_names[self.first[0]], var_names[self.first[1]]
        return f"{where} holds {self.count:,} {what}, for example {self.value:.6g} in cell {cell!r}, gene {gene!r}."


@dataclass
class _Scan:
    totals: NDArray[np.float64]
    nnz: int = 0
    max_value: float = 0.0
    max_deviation: float = 0.0
    nonfinite: _Fault = field(default_factory=_Fault)
    negative: _Fault = field(default_factory=_Fault)
    fractional: _Fault = field(default_factory=_Fault)

    def add(self, part: Entries) -> None:
        values = part.values
        if values.size == 0:
            return
        self.nnz += values.size
        if _are_counts(values):  # as nearly always, and quick to see
            self.max_value = max(self.max_value, float(values.max()))
            _add_rows(self.totals, part.rows, values)
            return
        finite = np.abs(values) <= _LARGEST  # false for NaN, too
        self.nonfinite.add(part, ~finite)
        values = np.where(finite, values, 0.0)
        self.negative.add(part, values < 0)
        deviation = np.abs(values - np.rint(values))
        self.fractional.add(part, deviation > 0)
        self.max_deviation = max(self.max_deviation, float(deviation.max()))
        self.max_value = max(self.max_value, float(values.max()))
        _add_rows(self.totals, part.rows, values)


def _are_counts(values: NDArray[Any]) -> bool:
    """Whether all values are whole, finite and not negative; a NaN is none of these."""
    whole = values.dtype.kind != "f" or np.array_equal(np.rint(values), values)
    return bool(whole and values.min() >= 0 and values.max() <= _LARGEST)


def _add_rows(totals: NDArray[np.float64], rows: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    low, high = int(rows.min()), int(rows.max()) + 1  # a block of rows touches a few cells only
    totals[low:high] += np.bincount(rows - low, values, high - low)


def _scan(matrix: Any, where: str, panels: CellPanels | None, watch: Callable[[Entries], None] | None) -> _Scan:
    check_supported(matrix, where)
    if 0 in matrix.shape:
        message = f"{where} has {matrix.shape[0]} cells and {matrix.shape[1]} genes; at least one of each is needed."
        raise DataError(message)
    quick = _scan_of_counts(matrix) if panels is None and watch is None else None
    if quick is not None:
        return quick

    def look() -> _Scan:
        scan = _Scan(np.zeros(matrix.shape[0], np.float64))
        for part in iter_entries(matrix, panels=panels, where=where):
            scan.add(part)
            if watch is not None:
                watch(part)
        return scan

    # one that is watched is not spared
    found: _Scan = remembered(matrix, "scan", panels, look) if watch is None else look()
    return found


def _scan_of_counts(matrix: Any) -> _Scan | None:
    """A scan of rows in memory that hold nothing but counts, without a copy of them; None where
    they are stored in another way, or must be looked at more closely.
    """
    if not (sparse.issparse(matrix) and matrix.format == "csr"):
        return None
    matrix = known_indices(matrix)
    values = matrix.data
    if not (matrix.has_canonical_format and all(_are_counts(values[i : i + _PIECE]) for i in range(0, values.size, _PIECE))):
        return None
    scan = _Scan(np.zeros(matrix.shape[0], np.float64), nnz=int(np.count_nonzero(values)))
    held = np.flatnonzero(np.diff(matrix.indptr))  # of an empty row np.add.reduceat would take the next entry
    if held.size:
        scan.totals[held] = np.add.reduceat(values, matrix.indptr[held], dtype=np.float64)
        scan.max_value = float(values.max())
    return scan


def _report(scan: _Scan, shape: tuple[int, int]) -> CountReport:
    low, middle, high = (float(f(scan.totals)) for f in (np.min, np.median, np.max))
    return CountReport(int(shape[0]), int(shape[1]), scan.nnz, float(scan.totals.sum()), scan.max_value, low, middle, high)


def _raise_nonfinite(fault: _Fault, where: str, obs_names: Sequence[str], var_names: Sequence[str]) -> None:
    if fault.count:
        message = (
            f"{fault.describe(where, obs_names, var_names, 'NaN or infinite values')} Every value must be finite, in single precision "
            "too (at most 3.4e38). A gene that was not measured is left out of the matrix (its column is dropped), not filled with NaN; "
            "where only some batches lack it, call r2mae_bio.pp.measured_by_batch first."
        )
        raise NonFiniteError(message)


def _raise_fractional(
    entries: Callable[[], Iterator[Entries]],
    scan: _Scan,
    where: str,
    obs_names: Sequence[str],
    var_names: Sequence[str],
    advice: str,
) -> None:
    found = scan.fractional.describe(where, obs_names, var_names, "values that are not whole numbers")
    base = _log_base(entries, scan.totals.size) if scan.max_value < _MAX_LOG else None
    if base is not None:
        message = (
            f"{found} They look log-transformed ({base} logarithm, maximum {scan.max_value:.4g}); raw counts are needed. {advice}"
        )
        raise LogTransformedError(message)
    message = (
        f"{found} Raw counts are needed; these may be normalised, ambient-corrected or estimated counts (largest distance to a "
        f"whole number {scan.max_deviation:.2g}). {advice} Estimated counts can be rounded with numpy.rint."
    )
    raise FractionalCountsError(message)


def _raise_empty(totals: NDArray[np.float64], where: str, obs_names: Sequence[str]) -> None:
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        message = (
            f"{where} holds {empty.size:,} of {totals.size:,} cells without a single count, for example cell "
            f"{obs_names[int(empty[0])]!r}. Every cell needs at least one. Remove them: sc.pp.filter_cells(adata, min_counts=1)."
        )
        raise EmptyCellsError(message)


def _log_base(entries: Callable[[], Iterator[Entries]], n_cells: int) -> str | None:
    """The logarithm that explains non-whole, non-negative values, if any; the rule is in
    :func:`check_counts`.
    """
    lowest = np.full(n_cells, np.inf)
    for part in entries():
        np.minimum.at(lowest, part.rows, part.values)
    plain_spread, plain_whole = _evidence(entries, lowest, lambda x: x)
    for base, unlog in _UNLOG.items():
        spread, whole = _evidence(entries, lowest, unlog)
        if (spread < _CONSTANT and spread < plain_spread) or (whole >= _WHOLE and whole > plain_whole):
            return base
    return None


def _evidence(
    entries: Callable[[], Iterator[Entries]],
    lowest: NDArray[np.float64],
    unlog: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> tuple[float, float]:
    """Spread of the row sums, and share of small multiples of the smallest value that are whole,
    after ``unlog``.
    """
    totals, tried, whole = np.zeros(lowest.size), 0, 0
    for part in entries():
        if part.values.size == 0:
            continue
        values = unlog(part.values)
        _add_rows(totals, part.rows, values)
        ratio = values / unlog(lowest[part.rows])
        ratio = ratio[(ratio > 1.3) & (ratio < 20)]  # the smallest value itself says nothing, large ratios too little
        tried += ratio.size
        whole += int(np.count_nonzero(np.abs(ratio - np.rint(ratio)) < 0.05))
    totals = totals[totals > 0]
    spread = float(totals.std() / totals.mean()) if totals.size > 2 else np.inf
    return spread, whole / tried if tried else 0.0
