"""Bases as text, as ASCII bytes, as codes (A 0, C 1, G 2, T 3, anything else 4) and one-hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np

from r2mae_bio._errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["decode_bases", "encode_bases", "one_hot_encode", "reverse_complement", "soft_mask"]

Sequence: TypeAlias = "str | bytes | NDArray[np.uint8]"
_Like = TypeVar("_Like", str, bytes, "NDArray[np.uint8]")

UNKNOWN: Final = 4
"""Code of everything that is not A, C, G or T."""
_LETTERS: Final = np.frombuffer(b"ACGTN", np.uint8)
_LOWER: Final = np.uint8(0x20)  # the bit by which lower-case ASCII letters differ from upper case


def _encoding() -> bytes:
    table = bytearray([UNKNOWN]) * 256
    for code, letter in enumerate("ACGT"):
        table[ord(letter)] = table[ord(letter.lower())] = code
    return bytes(table)


def _complement() -> bytes:
    """Codes and ASCII letters do not overlap, so one table serves both; a byte that stands for no
    base stays as it is.
    """
    table = bytearray(range(256))
    table[:4] = 3, 2, 1, 0
    for a, b in ("AT", "CG", "RY", "KM", "BV", "DH"):
        for x, y in ((a, b), (b, a)):
            table[ord(x)], table[ord(x.lower())] = ord(y), ord(y.lower())
    return bytes(table)


_ENCODE: Final = _encoding()
_COMPLEMENT: Final = _complement()
_COMPLEMENT_TEXT: Final = {letter: other for letter, other in enumerate(_COMPLEMENT) if letter > UNKNOWN and letter != other}


def _as_array(sequence: Sequence) -> NDArray[np.uint8]:
    """Any of the accepted forms as uint8, without a copy where possible."""
    if isinstance(sequence, str):
        sequence = sequence.encode("ascii", "replace")
    if isinstance(sequence, bytes | bytearray):
        return np.frombuffer(sequence, np.uint8)
    array = np.asarray(sequence)
    if array.dtype != np.uint8:
        message = f"The bases have dtype {array.dtype}; needed are a str, bytes or an array of uint8."
        raise DataError(message)
    return array


def _translate(array: NDArray[np.uint8], table: bytes) -> NDArray[np.uint8]:
    """Look every byte up; two to three times faster than indexing, which makes 64-bit numbers of
    the bytes first.
    """
    return np.frombuffer(bytearray(np.ascontiguousarray(array).data).translate(table), np.uint8).reshape(array.shape)


def encode_bases(sequence: Sequence) -> NDArray[np.uint8]:
    """Codes of bases: A 0, C 1, G 2, T 3 in either case, everything else (N, IUPAC codes) 4.

    Parameters
    ----------
    sequence
        Text, bytes, or ASCII bytes as uint8 of any shape.

    Returns
    -------
    Codes of the same shape, uint8.

    Raises
    ------
    DataError
        An array is not uint8.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> rb.io.encode_bases("ACgtN").tolist()
    [0, 1, 2, 3, 4]
    """
    return _translate(_as_array(sequence), _ENCODE)


def decode_bases(codes: NDArray[np.uint8]) -> Any:
    """Text of codes; the inverse of :func:`encode_bases` for A, C, G, T and N in upper case.

    Parameters
    ----------
    codes
        Codes from 0 to 4, uint8 (L,) or (B, L).

    Returns
    -------
    A str for one row of codes, a list of B str for several.

    Raises
    ------
    DataError
        Not one or two axes of uint8 codes.
    """
    codes = _checked_codes(codes)
    if codes.ndim not in (1, 2):
        message = f"The codes have {codes.ndim} axes; needed are (L,) or (B, L)."
        raise DataError(message)
    letters = _LETTERS[codes]
    return letters.tobytes().decode() if letters.ndim == 1 else [row.tobytes().decode() for row in letters]


def soft_mask(sequence: Sequence) -> NDArray[np.bool_]:
    """Which bases are lower case, the usual mark of repeats and of low complexity.

    Parameters
    ----------
    sequence
        Text, bytes, or ASCII bytes as uint8 of any shape; not codes, which have no case.

    Returns
    -------
    True where the letter is lower case, bool of the same shape.

    Raises
    ------
    DataError
        An array is not uint8.
    """
    return (_as_array(sequence) & _LOWER).astype(bool)


def reverse_complement(sequence: _Like) -> _Like:
    """The other strand, read from its own 5' end; IUPAC codes are complemented, the case is kept.

    Parameters
    ----------
    sequence
        Text, bytes, or uint8 of any shape, ASCII bytes or codes; rows of bases lie along the last
        axis.

    Returns
    -------
    The same type and shape. Applied twice it gives the input back.

    Raises
    ------
    DataError
        An array is not uint8.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> rb.io.reverse_complement("AACRn")
    'nYGTT'
    """
    if isinstance(sequence, str):
        return sequence[::-1].translate(_COMPLEMENT_TEXT)
    if isinstance(sequence, bytes | bytearray):
        return bytes(sequence[::-1]).translate(_COMPLEMENT)
    return _translate(_as_array(sequence)[..., ::-1], _COMPLEMENT)


def one_hot_encode(sequence: Sequence, *, unknown: str = "zeros", dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """One-hot rows in the order A, C, G, T.

    Parameters
    ----------
    sequence
        Text, bytes, or codes (not ASCII bytes) as uint8, shape (..., L).
    unknown
        What stands for N and the other IUPAC codes: ``"zeros"``, or ``"uniform"`` for a quarter
        each.
    dtype
        Type of the result.

    Returns
    -------
    Array of shape (..., L, 4).

    Raises
    ------
    ConfigError
        ``unknown`` is not known, or ``dtype`` cannot hold a quarter.
    DataError
        An array holds anything but codes.
    """
    fill = {"zeros": 0.0, "uniform": 0.25}.get(unknown)
    if fill is None:
        message = f"unknown={unknown!r} is not known; needed is 'zeros' or 'uniform'."
        raise ConfigError(message)
    if fill and np.dtype(dtype).kind not in "fc":
        message = f"dtype {np.dtype(dtype)} cannot hold a quarter; choose a floating type or unknown='zeros'."
        raise ConfigError(message)
    table = np.concatenate([np.eye(4), np.full((1, 4), fill)]).astype(dtype)
    codes = _checked_codes(sequence if isinstance(sequence, np.ndarray) else encode_bases(sequence))
    return np.take(table, codes, axis=0)  # twenty times faster than table[codes]


def _checked_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    codes = _as_array(codes)
    if codes.size and codes.max() > UNKNOWN:
        message = (
            f"The codes reach {codes.max()}; codes go from 0 to {UNKNOWN}. If these are ASCII bytes, call encode_bases first."
        )
        raise DataError(message)
    return codes
