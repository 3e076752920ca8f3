"""What the verbs and probes on DNA ask of a model, so that one of another package can stand in for
ours.
"""

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


class BaseModel(Protocol):
    """Predicts bases from the others."""

    @property
    def window(self) -> int:
        """Longest sequence read at once, in bases."""
        ...

    def checksum(self) -> str:
        """SHA-256 of configuration and weights."""
        ...

    def log_probs(self, codes: Any, hidden: Any, *, strand: str, batch_size: int | None) -> NDArray[np.float32]:
        """Log-probabilities (B, L, 4) of A, C, G and T in nats, given the codes (B, L) that are not
        hidden.
        """
        ...


class VariantModel(StateModel, BaseModel, Protocol):
    """What scoring needs of a model; :class:`r2mae_bio.model.DNAMAE` has it."""


class SequenceModel(Protocol):
    """A pretrained model of bases, such as ``DNAMAE``."""

    window: int
    """Longest sequence read at once, bp."""
    n_dim: int
    """Width D of a state."""
    network: Any
    """The network, with ``states(codes) -> (B, L, D)`` and ``config.d_model``."""

    def states(self, codes: NDArray[np.uint8], *, strand: str = "both") -> NDArray[np.float32]:
        """States (B, L, D) of codes uint8 (B, L), L at most ``window``."""
        ...
