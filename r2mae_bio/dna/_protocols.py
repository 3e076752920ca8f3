"""TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class StateModel(Protocol):
    """Turns bases into states."""

    @property
    def window(self) -> int:
        """Longest sequence read at once, in bases."""
        ...

    @property
    def n_dim(self) -> int:
        """Width of a state, D."""
        ...

    def checksum(self) -> str:
        """SHA-256 of configuration and weights."""
        ...

    def states(self, codes: Any, *, layer: int, strand: str, batch_size: int | None) -> NDArray[np.float32]:
        """States (B, L, D) of codes (B, L), nothing hidden; L is at most ``window``."""
        ...
