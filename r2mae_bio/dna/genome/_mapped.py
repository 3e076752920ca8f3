"""A file of bytes that each process maps into its memory for itself."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MapsOneFile"]


class MapsOneFile:
    """What reads one file of a cache; a forked process makes a map of its own."""

    _map: NDArray[np.uint8] | None = None
    _pid: int = -1

    def _mapped(self, path: Path, shape: tuple[int, ...], again: str) -> NDArray[np.uint8]:
        """The file, mapped by the process that asks.

        Parameters
        ----------
        path
            The file.
        shape
            Of the array.
        again
            What to open again if it cannot be read, for the message.

        Raises
        ------
        CacheError
            It is missing, or too short.
        """
        if self._map is None or self._pid != os.getpid():
            try:
                self._map = np.asarray(np.memmap(path, np.uint8, "r", shape=shape))
            except (OSError, ValueError) as error:
                message = f"{path} cannot be read ({error}); needed are {math.prod(shape)} bytes. Open {again}."
                raise CacheError(message) from error
            self._pid = os.getpid()
        return self._map
