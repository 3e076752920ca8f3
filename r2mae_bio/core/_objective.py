"""What a run minimises: the only part of training that knows whether slots are genes or bases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.masking import MaskPlan


@dataclass(frozen=True, eq=False)
class Score:
    """How well the hidden slots of B rows were predicted."""

    nats: Tensor
    """Negative log-likelihood, weighted and summed over the hidden slots of each row (B,)."""
    weight: Tensor
    """Sum of the weights of these slots (B,); their number where all count the same."""
    parts: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Nats and numbers of kinds of slots that are reported apart, summed over rows, by name."""


class Objective(Protocol):
    """Slots of a batch, and how a prediction of them is scored."""

    unit: str
    """What throughput is counted in, such as ``"cells"``."""
    blind_name: str
    """What the blind control is, for the log."""

    def valid(self, batch: Any) -> Tensor:
        """Slots that carry content, bool (B, L), or (1, L) when all rows agree."""

    def n_rows(self, batch: Any) -> int:
        """Rows of the batch."""

    def n_units(self, batch: Any) -> int:
        """Size of the batch in ``unit``."""

    def score(self, network: Any, batch: Any, plan: MaskPlan) -> Score:
        """Score the network's prediction of the hidden slots."""

    def blind(self, batch: Any, plan: MaskPlan) -> Score:
        """Score a prediction that sees nothing."""

    def parameter_groups(self, network: Any, config: Any) -> list[dict[str, Any]]:
        """Groups of parameters for AdamW, each with ``scale``, its learning rate in units of the
        run's.

        ``config`` is the :class:`r2mae_bio.config.TrainConfig` of the run, or the subclass that the
        objective needs.
        """
