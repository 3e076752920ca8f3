"""Which genes a model knows, under every name they go by."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError, DuplicateGenesError
from r2mae_bio.cells.read._obs import read_column
from r2mae_bio.config._form import check_form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["MEASURED", "GeneVocabulary", "gene_aliases", "measured_genes", "strip_version"]

ALIAS_COLUMNS: Final = (
    "gene_ids",
    "gene_id",
    "ensembl_id",
    "ensembl",
    "feature_id",
    "symbol",
    "gene_symbols",
    "gene_symbol",
    "gene_name",
    "feature_name",
)
"""Columns of ``adata.var`` that are read as further gene names."""
MEASURED: Final = "measured"
"""Boolean column of ``adata.var``: False marks genes that were not measured."""
_ENSEMBL: Final = re.compile(r"^(ENS[A-Z]*\d{11})\.\d+(_PAR_Y)?$")
_NO_NAME: Final = frozenset({"", "None", "NA", "<NA>"})  # not "nan": that is a gene of the fly


def strip_version(name: str) -> str:
    """Remove the version of an Ensembl stable id of any species; leave every other name as it is.

    Parameters
    ----------
    name
        A gene name of any kind.

    Returns
    -------
    The name without version. The suffix ``_PAR_Y``, a gene of its own, is kept.

    Examples
    --------
    >>> from r2mae_bio.cells.read._genes import strip_version
    >>> strip_version("ENSMUSG00000051951.6"), strip_version("RP11-34P13.7")
    ('ENSMUSG00000051951', 'RP11-34P13.7')
    """
    match = _ENSEMBL.match(name)
    return match.group(1) + (match.group(2) or "") if match else name


def has_name(name: str) -> bool:
    """Whether an entry of an alias column is a name and not a placeholder for a missing one."""
    return name not in _NO_NAME


def gene_aliases(var: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Further names of the genes: the known id columns of ``adata.var``.

    Parameters
    ----------
    var
        ``adata.var``; read are the columns ``gene_ids``, ``gene_id``, ``ensembl_id``, ``ensembl``,
        ``feature_id``, ``symbol``, ``gene_symbols``, ``gene_symbol``, ``gene_name`` and
        ``feature_name``.

    Returns
    -------
    One tuple of text per column found, each of length (genes,); missing entries are empty text.
    """
    return {column: _as_text(read_column(var, column, where="var")) for column in ALIAS_COLUMNS if column in var.columns}


def measured_genes(var: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Which columns were measured, if the data set says so.

    Parameters
    ----------
    var
        ``adata.var``, with or without a column ``measured`` (bool).

    Returns
    -------
    Shape (genes,), or None if there is no such column.

    Raises
    ------
    DataError
        The column is not boolean.
    """
    if MEASURED not in var.columns:
        return None
    column = read_column(var, MEASURED, where="var")
    if not pd.api.types.is_bool_dtype(column.dtype) or column.isna().any():
        message = (
            f"adata.var[{MEASURED!r}] has dtype {column.dtype}; a boolean column without missing values is needed "
            "(False: the gene was not measured). Convert it with .astype(bool), or rename it if it means something else."
        )
        raise DataError(message)
    return column.to_numpy(dtype=bool)


@dataclass(frozen=True, eq=False)
class GeneVocabulary:
    """The genes of a model, in the order of its gene positions.

    Parameters
    ----------
    names
        ``var_names`` of the training data, unique.
    aliases
        Further names of the same genes: one tuple per id column, each of length (genes,).
    totals
        Training counts of each gene, shape (genes,); zeros if they are not known.

    Raises
    ------
    DataError
        Lengths differ, or a total is negative or not finite.
    DuplicateGenesError
        A name occurs twice, Ensembl versions aside.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    totals: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        object.__setattr__(self, "aliases", {key: tuple(map(str, column)) for key, column in self.aliases.items()})
        object.__setattr__(self, "totals", np.array(self.totals, dtype=np.float64))
        self.totals.setflags(write=False)
        self._check_lengths()
        raise_duplicates(self.names)

    def _check_lengths(self) -> None:
        sizes = {key: len(column) for key, column in {**self.aliases, "totals": self.totals}.items()}
        wrong = {key: size for key, size in sizes.items() if size != len(self.names)}
        if wrong or not self.names:
            message = (
                f"A vocabulary of {len(self.names)} genes got columns of other lengths: {wrong}; one entry per gene is needed."
            )
            raise DataError(message)
        if not np.all(np.isfinite(self.totals)) or self.totals.min() < 0:
            message = "Training count totals must be finite and not negative; pass zeros if they are not known."
            raise DataError(message)

    @classmethod
    def from_anndata(cls, adata: AnnData, totals: NDArray[np.float64], *, duplicates: str = "error") -> GeneVocabulary:
        """Take the genes of the training data.

        Parameters
        ----------
        adata
            Training data; ``var_names`` and the id columns of ``var`` are read.
        totals
            Counts of each column over all training cells, shape (n_vars,).
        duplicates
            ``"error"``, or ``"sum"``: columns with the same name become one gene, at the place of
            the first.

        Returns
        -------
        The vocabulary, in the order of the columns.

        Raises
        ------
        DuplicateGenesError
            ``duplicates="error"`` and a name occurs twice.
        """
        check_duplicates_option(duplicates)
        names, aliases = tuple(map(str, adata.var_names)), gene_aliases(adata.var)
        if duplicates == "error":
            return cls(names, aliases, totals)
        _, first, gene = np.unique([strip_version(name) for name in names], return_index=True, return_inverse=True)
        order = np.argsort(first)
        summed = np.bincount(gene, np.asarray(totals, np.float64), first.size)[order].astype(np.float64)
        kept = first[order].tolist()
        return cls(tuple(names[i] for i in kept), {k: tuple(v[i] for i in kept) for k, v in aliases.items()}, summed)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of lists, text and numbers; JSON keeps every total exactly."""
        aliases = {key: list(column) for key, column in self.aliases.items()}
        return {"names": list(self.names), "aliases": aliases, "totals": self.totals.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GeneVocabulary:
        """The inverse of :meth:`to_json`.

        Parameters
        ----------
        data
            The dictionary.

        Returns
        -------
        An equal vocabulary.

        Raises
        ------
        DataError
            An entry is missing or has the wrong length.
        ConfigError
            An entry is of another type.
        """
        missing = sorted({"names", "aliases", "totals"} - set(data))
        if missing:
            message = f"The vocabulary lacks {missing}; the file is not a gene vocabulary, or it was cut short."
            raise DataError(message)
        check_form(data, {"names": list[str], "aliases": dict[str, list[str]], "totals": list[float]})
        return cls(tuple(data["names"]), data["aliases"], np.asarray(data["totals"], np.float64))

    def count_share(self, genes: NDArray[np.bool_]) -> float:
        """Share of the training counts that some genes hold, in [0, 1]; NaN if these are not known.

        Parameters
        ----------
        genes
            Which genes, (genes,).
        """
        total = float(self.totals.sum())
        return float(self.totals[genes].sum()) / total if total else float("nan")

    def fingerprint(self) -> str:
        """SHA-256 of the gene names in their order, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in self.names:
            text = name.encode()
            digest.update(len(text).to_bytes(8, "little") + text)  # lengths keep ("ab", "c") and ("a", "bc") apart
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GeneVocabulary):
            return NotImplemented
        same = self.names == other.names and self.aliases == other.aliases
        return same and np.array_equal(self.totals, other.totals)

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3])
        return f"GeneVocabulary({len(self):,} genes: {shown}{', ...' if len(self) > 3 else ''}; aliases: {sorted(self.aliases)})"


def check_duplicates_option(duplicates: str) -> None:
    """Refuse anything but ``"error"`` and ``"sum"``."""
    if duplicates not in {"error", "sum"}:
        message = f"duplicates={duplicates!r} is not known; pass 'error' or 'sum'."
        raise ConfigError(message)


def raise_duplicates(names: Sequence[str]) -> None:
    """Refuse training genes that share a name."""
    seen = pd.Index([strip_version(name) for name in names])
    repeated = sorted(set(seen[seen.duplicated()]))
    if repeated:
        message = (
            f"{len(repeated)} gene names occur more than once in var_names, for example {repeated[:5]}; a model needs one column "
            "per gene. Pass duplicates='sum' to add such columns up, or use an id column that is unique (such as Ensembl ids) as "
            "var_names. adata.var_names_make_unique() does not help: it invents names ('X-1') that match no other data set."
        )
        raise DuplicateGenesError(message)


def _as_text(column: pd.Series) -> tuple[str, ...]:
    return tuple("" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True))
