"""Names of the AnnData slots this package reads and writes; names that users give, or are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class _Keys:
    uns: str = "r2mae"
    """``.uns`` entry that holds every parameter and report of this package."""
    setup: str = "setup"
    """``.uns["r2mae"]`` entry written by ``GeneMAE.setup_anndata``."""
    embed: str = "embed"
    """``.uns["r2mae"]`` entry: one record per embedding key."""
    coverage: str = "coverage"
    """``.uns["r2mae"]`` entry: the last gene coverage report."""
    measured: str = "measured"
    """``.uns["r2mae"]`` entry: which column of ``.obs`` says by which panel a cell was measured."""
    measured_varm: str = "r2mae_measured"
    """``.varm`` key of what each of these panels measured."""
    spectrum: str = "spectrum"
    """``.uns["r2mae"]`` entry: the spectrum of the gene correlation."""
    mask_ratio: str = "mask_ratio"
    """``.uns["r2mae"]`` entry: the recommended mask ratio."""
    gene_embeddings: str = "gene_embeddings"
    """``.uns["r2mae"]`` entry: one record per key of gene embeddings."""
    attribution: str = "attribution"
    """``.uns["r2mae"]`` entry: one record per key of attributions."""
    impute: str = "impute"
    """``.uns["r2mae"]`` entry: one record per key of imputed expression."""
    transfer_labels: str = "transfer_labels"
    """``.uns["r2mae"]`` entry: one record per key of transferred labels."""
    obsm: str = "X_r2mae"
    """Default ``.obsm`` key of an embedding."""
    counts: str = "counts"
    """Layer name of raw counts in the bundled data sets."""


KEYS: Final = _Keys()


def as_names(names: Any) -> tuple[str, ...]:
    """Names as a user gives them: several, one as text, or None.

    Parameters
    ----------
    names
        Text is one name, not a sequence of letters.
    """
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(map(str, names))


def first_names(names: Sequence[str], most: int = 5) -> str:
    """Names for a message, the first of them where there are many.

    Parameters
    ----------
    names
        All of them.
    most
        How many are shown; the others are counted.
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
