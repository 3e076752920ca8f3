"""Reading DNA with a network: both strands, in chunks, as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import DataError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna._aligned import ASKED, N_SYMBOLS, bases_of
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.dna.network._mae import base_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder

_CACHED: Final = 1 << 22
"""Numbers of the widest states of bases read together on a processor, 16 MiB: more do not stay in
its cache, which costs more than long products gain.
"""
_AT_LEAST: Final = 1 << 10
_AT_MOST: Final = 1 << 19
"""Fewest and most bases that are read together."""


def log_probs(network: DNAMaskedAutoencoder, codes: Tensor, *, both: bool) -> Tensor:
    """Log-probabilities of A, C, G and T, (B, L, 4); with ``both``, the mean over strands,
    normalised again.
    """
    forward = network(base_tokens(codes)).log_softmax(-1)
    if not both:
        return forward
    # turned back, the last base comes first and A and T, and C and G, change places
    backward = network(base_tokens(other_strand(codes))).log_softmax(-1).flip(1, 2)
    return ((forward + backward) / 2).log_softmax(-1)


def states(network: DNAMaskedAutoencoder, codes: Tensor, *, layer: int, both: bool) -> Tensor:
    """States of all bases, (B, L, D); with ``both``, the mean over strands."""
    forward = network.states(codes, layer)
    if not both:
        return forward
    return (forward + network.states(other_strand(codes), layer).flip(1)) / 2


def other_strand(codes: Tensor) -> Tensor:
    """The reverse complements of codes (B, L) or (B, L, 1 + S), asked for or not."""
    return torch.where(codes % ASKED < UNKNOWN, codes ^ 3, codes).flip(1)  # 0 and 3, and 1 and 2, change places


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
        From codes int64 (b, L) or (b, L, 1 + S) to (b, L, anything).
    codes
        Codes (B, L) or (B, L, 1 + S).
    batch_size
        Rows at a time; as many as suit the device if None.

    Returns
    -------
    float32 (B, L, anything), in full precision whatever the network was trained with.
    """
    network.eval()
    device = next(network.parameters()).device
    step = max(1, bases_at_once(network) // codes.shape[1]) if batch_size is None else batch_size
    pieces = [
        read(torch.from_numpy(codes[first : first + step].astype(np.int64)).to(device)).float().cpu().numpy()
        for first in range(0, max(1, len(codes)), step)  # once for no rows, to learn the shape
    ]
    return np.concatenate(pieces)


def bases_at_once(network: DNAMaskedAutoencoder) -> int:
    """How many bases a network reads together: on a processor what fits into its cache, on a GPU
    into half of the memory that is free.

    Parameters
    ----------
    network
        The network, on its device.

    Returns
    -------
    A number of bases.
    """
    width = network.config.expansion * network.config.d_model
    device = next(network.parameters()).device
    if device.type != "cuda":
        return max(_CACHED // width, _AT_LEAST)
    free, _ = torch.cuda.mem_get_info(device)
    # states that are held at once: those of the feed-forward layer twice, and a dozen narrow ones
    return min(max(free // 2 // (4 * (2 * width + 12 * network.config.d_model)), _AT_LEAST), _AT_MOST)


def check_codes(codes: Any, window: int, batch_size: int | None, strand: str, n_species: int = 0) -> NDArray[np.integer[Any]]:
    """Codes as an array, or an error that says what is wrong.

    Parameters
    ----------
    codes
        What the user passed.
    window
        Longest row.
    batch_size, strand
        Checked along with them.
    n_species
        Other species that the network reads, S.

    Raises
    ------
    DataError
        They are not integers from 0 to 4 of shape (B, L) with L from 1 to ``window``; or, where
        there are species, those of (B, L, 1 + S) with codes up to 6 behind the first.
    ConfigError
        Strand or batch size cannot be used.
    """
    array = np.asarray(codes)
    widths = [(), (1 + n_species,)] if n_species else [()]
    if array.ndim < 2 or array.shape[2:] not in widths or array.dtype.kind not in "iu" or not 1 <= array.shape[1] <= window:
        aligned = f" or (rows, length, {1 + n_species})" if n_species else ""
        message = (
            f"codes are {array.dtype} of shape {array.shape}; needed are integers of shape (rows, length){aligned}, length 1 to {window}. "
            "Cut longer sequences into tiles, or use tl.embed_sequences, which does."
        )
        raise DataError(message)
    _check_range(bases_of(array), UNKNOWN, "0 to 3 for A, C, G, T and 4 for N (io.encode_bases)")
    if array.ndim > 2:
        _check_range(
            array[..., 1:], N_SYMBOLS - 1, "0 to 4 for bases of other species, 5 for gaps and 6 where nothing is aligned"
        )
    check_strand(strand)
    if batch_size is not None:
        check_batch_size(batch_size, "rows")
    return array


def _check_range(codes: NDArray[Any], last: int, needed: str) -> None:
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) <= last:
        message = f"codes run from {codes.min()} to {codes.max()}; needed are {needed}."
        raise DataError(message)


def hide(codes: NDArray[Any], hidden: Any, *, relatives: bool = False) -> NDArray[Any]:
    """The codes with the bases at hidden positions unknown, and what other species have there as it
    is; or the other way round.

    Parameters
    ----------
    codes
        (B, L), or (B, L, 1 + S).
    hidden
        bool (B, L), or None for nothing.
    relatives
        Whether bases stay and columns are asked for.

    Raises
    ------
    DataError
        ``hidden`` is no array of booleans of this shape.
    """
    if hidden is None:
        return codes
    mask = np.asarray(hidden)
    if mask.dtype != bool or mask.shape != codes.shape[:2]:
        message = (
            f"hidden is {mask.dtype} of shape {mask.shape}; needed are booleans of the shape of the codes, {codes.shape[:2]}."
        )
        raise DataError(message)
    unknown = np.asarray(UNKNOWN, codes.dtype)
    if codes.ndim == 2:
        return codes if relatives else np.where(mask, unknown, codes)
    shown = codes.copy()
    if relatives:
        shown[..., 1:][mask] += np.asarray(ASKED, codes.dtype)
    else:
        shown[..., 0][mask] = unknown
    return shown
