"""Reading DNA with a network: both strands, in chunks, as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import DataError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.dna.network._mae import base_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder

_BASES_AT_ONCE: Final = 1 << 15


def log_probs(network: DNAMaskedAutoencoder, codes: Tensor, *, both: bool) -> Tensor:
    """Log-probabilities of A, C, G and T, (B, L, 4); with ``both``, the mean over strands,
    normalised again.
    """
    forward = network(base_tokens(codes)).log_softmax(-1)
    if not both:
        return forward
    # turned back, the last base comes first and A and T, and C and G, change places
    backward = network(base_tokens(_other_strand(codes))).log_softmax(-1).flip(1, 2)
    return ((forward + backward) / 2).log_softmax(-1)


def states(network: DNAMaskedAutoencoder, codes: Tensor, *, layer: int, both: bool) -> Tensor:
    """States of all bases, (B, L, D); with ``both``, the mean over strands."""
    forward = network.states(codes, layer)
    if not both:
        return forward
    return (forward + network.states(_other_strand(codes), layer).flip(1)) / 2


def _other_strand(codes: Tensor) -> Tensor:
    return torch.where(codes < UNKNOWN, 3 - codes, UNKNOWN).flip(1)


@torch.inference_mode()
def in_chunks(
    network: DNAMaskedAutoencoder, read: Callable[[Tensor], Tensor], codes: NDArray[Any], batch_size: int | None
) -> NDArray[np.float32]:
    """Read rows a few at a time.

    Parameters
    ----------
    network
        The network, put into evaluation mode.
    read
        From codes int64 (b, L) to (b, L, anything).
    codes
        Codes (B, L).
    batch_size
        Rows at a time; as many as make about 32,000 bases if None.

    Returns
    -------
    float32 (B, L, anything), in full precision whatever the network was trained with.
    """
    network.eval()
    device = next(network.parameters()).device
    step = max(1, _BASES_AT_ONCE // codes.shape[1]) if batch_size is None else batch_size
    pieces = [
        read(torch.from_numpy(codes[first : first + step].astype(np.int64)).to(device)).float().cpu().numpy()
        for first in range(0, max(1, len(codes)), step)  # once for no rows, to learn the shape
    ]
    return np.concatenate(pieces)


def check_codes(codes: Any, window: int, batch_size: int | None, strand: str) -> NDArray[np.integer[Any]]:
    """Codes as an array, or an error that says what is wrong.

    Parameters
    ----------
    codes
        What the user passed.
    window
        Longest row.
    batch_size, strand
        Checked along with them.

    Raises
    ------
    DataError
        They are not integers from 0 to 4 of shape (B, L) with L from 1 to ``window``.
    ConfigError
        Strand or batch size cannot be used.
    """
    array = np.asarray(codes)
    if array.ndim != 2 or array.dtype.kind not in "iu" or not 1 <= array.shape[1] <= window:
        message = (
            f"codes are {array.dtype} of shape {array.shape}; needed are integers of shape (rows, length), length 1 to {window}. "
            "Cut longer sequences into tiles, or use tl.embed_sequences, which does."
        )
        raise DataError(message)
    if array.size and not 0 <= int(array.min()) <= int(array.max()) <= UNKNOWN:
        message = (
            f"codes run from {array.min()} to {array.max()}; needed are 0 to 3 for A, C, G, T and 4 for N (io.encode_bases)."
        )
        raise DataError(message)
    check_strand(strand)
    if batch_size is not None:
        check_batch_size(batch_size, "rows")
    return array


def hide(codes: NDArray[Any], hidden: Any) -> NDArray[Any]:
    """The codes with those at hidden positions unknown.

    Parameters
    ----------
    codes
        (B, L).
    hidden
        bool (B, L), or None for nothing.

    Raises
    ------
    DataError
        ``hidden`` is no array of booleans of this shape.
    """
    if hidden is None:
        return codes
    mask = np.asarray(hidden)
    if mask.dtype != bool or mask.shape != codes.shape:
        message = f"hidden is {mask.dtype} of shape {mask.shape}; needed are booleans of the shape of the codes, {codes.shape}."
        raise DataError(message)
    return np.where(mask, np.asarray(UNKNOWN, codes.dtype), codes)
