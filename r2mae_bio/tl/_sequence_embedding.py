"""What an embedding of sequences says about itself."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio.dna.model._tiles import choose_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import StateModel

_N_SHOWN: Final = 5


def warn_unknown(names: Sequence[str], n_known: NDArray[np.int64], what: str) -> None:
    """Say which embeddings are NaN.

    Parameters
    ----------
    names
        Names, (n,).
    n_known
        Known bases, (n,).
    what
        What is named, such as "sequences".

    Warns
    -----
    UserWarning
        Some have no known base.
    """
    empty = [name for name, n in zip(names, n_known.tolist(), strict=True) if n == 0]
    if empty:
        shown = ", ".join(empty[:_N_SHOWN]) + (", ..." if len(empty) > _N_SHOWN else "")
        message = f"{len(empty)} of {len(names)} {what} hold no A, C, G or T, and their embedding is NaN: {shown}."
        warnings.warn(message, UserWarning, stacklevel=3)


def describe_embedding(model: StateModel, *, layer: int, strand: str, overlap: int | None) -> dict[str, Any]:
    """Where an embedding comes from, as h5ad can hold it.

    Parameters
    ----------
    model
        The model.
    layer, strand, overlap
        The settings.

    Returns
    -------
    Texts and whole numbers.
    """
    from r2mae_bio._version import __version__

    return {
        "model": type(model).__name__,
        "model_checksum": model.checksum(),
        "layer": int(layer),
        "strand": strand,
        "pooling": "mean over A, C, G and T",
        "window": int(model.window),
        "overlap": choose_overlap(overlap, model.window),
        "version_r2mae_bio": __version__,
    }
