"""Files of log-probabilities: what a run over many bases leaves, as a whole or as one of several
parts, exact to the last bit.

A line of JSON says what the bases are and what predicted them. Then comes block after block: four
float32 for each base, and one byte for each base of the genome (0 to 3, and 4 where there is no
value). Eight hexadecimal digits, the CRC-32 of all before, end a file that is complete.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import DataError
from r2mae_bio.dna.tracks._blocks import Blocks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIX: Final = ".logp"
_FORMAT: Final = "r2mae_bio log-probabilities 1"
_BASE_BYTES: Final = 4 * 4 + 1
_END_BYTES: Final = 9
_CHUNK: Final = 1 << 20
_MAX_HEADER: Final = 1 << 30


def encode_header(plan: Mapping[str, Any], shard: tuple[int, int], blocks: tuple[int, int]) -> bytes:
    """What stands above the first block.

    Parameters
    ----------
    plan
        What all parts of a whole have in common: ``contigs`` (names), ``lengths``, ``intervals``
        (contig, start and end, each a list), ``made_by`` (whatever decides the values).
    shard
        Which of how many.
    blocks
        Number of the first block, and of that after the last.
    """
    return json.dumps({"format": _FORMAT, **plan, "shard": shard, "blocks": blocks}).encode() + b"\n"


def encode_block(log_p: NDArray[np.float32], codes: NDArray[np.uint8]) -> bytes:
    """A block: log-probabilities (n, 4) and bases (n,)."""
    return log_p.astype("<f4").tobytes() + codes.astype(np.uint8).tobytes()


def encode_end(crc32: int) -> bytes:
    """What says that a file is complete."""
    return f"{crc32:08x}\n".encode()


@dataclass(frozen=True, eq=False)
class LogpFile:
    """One such file, mapped into memory."""

    path: Path
    plan: dict[str, Any]
    """What it has in common with the other parts; see :func:`encode_header`."""
    shard: tuple[int, int]
    """Which of how many."""
    first: int
    """Number of its first block."""
    last: int
    """Number of the block after its last."""
    _data: NDArray[np.uint8]
    _before: int
    """Bases of the whole in front of its first."""

    @classmethod
    def open(cls, path: Path, *, complete: bool = True) -> LogpFile:
        """Open a file.

        Parameters
        ----------
        path
            The file.
        complete
            Whether its end is checked; a run reads its own file before that.

        Raises
        ------
        DataError
            It is missing, something else, cut or damaged.
        """
        header, size = _read_header(path)
        plan = {name: header[name] for name in ("contigs", "lengths", "intervals", "made_by")}
        (first, last), blocks = header["blocks"], Blocks.of(*plan["intervals"])
        before, after = blocks.bases_before(first), blocks.bases_before(last)
        n_bytes = (after - before) * _BASE_BYTES
        if complete:
            _check_end(path, size + n_bytes)
        data = np.memmap(path, np.uint8, "r", offset=size, shape=(n_bytes,)) if n_bytes else np.empty(0, np.uint8)
        return cls(path, plan, (header["shard"][0], header["shard"][1]), first, last, data, before)

    def read(self, begin: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """A block of ``n`` bases, ``begin`` bases after the beginning of the whole."""
        at = (begin - self._before) * _BASE_BYTES
        raw = self._data[at : at + n * _BASE_BYTES].tobytes()
        return np.frombuffer(raw, "<f4", 4 * n).reshape(n, 4), np.frombuffer(raw, np.uint8, n, 16 * n)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    try:
        with path.open("rb") as stream:
            line = stream.readline(_MAX_HEADER)
        header = json.loads(line) if line.startswith(b'{"format"') else {}
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror or error}); check the path, or run this shard again."
        raise DataError(message) from error
    except ValueError:
        header = {}
    if header.get("format") != _FORMAT:
        message = f"{path} holds no log-probabilities of this version; needed is a file {SUFFIX} that tl.saturation_track wrote."
        raise DataError(message)
    return header, len(line)


def _check_end(path: Path, n_bytes: int) -> None:
    crc, left = 0, n_bytes
    with path.open("rb") as stream:
        while left and (data := stream.read(min(left, _CHUNK))):
            crc, left = zlib.crc32(data, crc), left - len(data)
        end = stream.read(_END_BYTES + 1)
    if left or end != encode_end(crc):
        message = f"{path} is cut or damaged: its {path.stat().st_size} bytes are not those that were written. Copy it again, or run its shard again."
        raise DataError(message)
