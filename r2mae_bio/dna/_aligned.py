"""Codes of bases with those of other species behind them: how aligned columns reach a model.

A model that reads an alignment takes codes (B, L) as any other, and codes (B, L, 1 + S): along the
last axis stands the base itself and then what each of S species has at its position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import Columns
    from r2mae_bio.dna.genome._genome import Genome

GAP: Final = 5
"""Code of a species that has a gap within a block; A, C, G, T and N are 0 to 4, as anywhere."""
UNALIGNED: Final = 6
"""Code of a species of which nothing is aligned."""
N_SYMBOLS: Final = 7
ASKED: Final = 8
"""Added to the codes of a column that is to be predicted: the network does not read it. Only models
that predict what other species have see it, and it never comes from users.
"""


def bases_of(codes: Any) -> Any:
    """The bases alone: a view of the codes, arrays or tensors.

    Parameters
    ----------
    codes
        (B, L), or (B, L, 1 + S).

    Returns
    -------
    (B, L).
    """
    return codes if codes.ndim == 2 else codes[..., 0]


def with_columns(codes: NDArray[np.uint8], columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bases and what other species have there.

    Parameters
    ----------
    codes
        (B, L).
    columns
        (B, L, S).

    Returns
    -------
    (B, L, 1 + S).
    """
    return np.concatenate([codes[..., None], columns], axis=-1)


def columns_over(model: Any, genome: Genome) -> Columns | None:
    """What a model reads beside the bases of a genome.

    Parameters
    ----------
    model
        Any model of DNA.
    genome
        The genome.

    Returns
    -------
    The columns of its alignment, None if it reads none.

    Raises
    ------
    SetupError
        It reads one and does not have it, or has one of another genome.
    """
    ask = getattr(model, "columns_over", None)
    return ask(genome) if callable(ask) else None
