"""What a comparison found, as tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r2mae_bio.evaluate.scores._frame import summarize
from r2mae_bio.evaluate.scores._paired import paired_differences

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Findings"]

DIFFERENCES: dict[str, dict[str, Any]] = {
    "panels": {"metric": "macro_f1", "by": ("probe", "panel")},
    "depth": {"metric": "macro_f1", "by": ("probe", "depth")},
    "denoising": {"metric": "poisson_nll", "by": ()},
    "integration": {"metric": "value", "by": ("kind", "metric")},
}


@dataclass(frozen=True, eq=False)
class Findings:
    """What :func:`compare` found."""

    frames: dict[str, pd.DataFrame]
    """By task, the tidy frame of :func:`panel_transfer`, :func:`depth_transfer`, :func:`denoising`
    or :func:`integration`; with a column group, the held-out group, where groups were held out.
    """
    reference: str
    """The method that the others are compared with: the first one."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was compared and how, for the report."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def summary(self) -> dict[str, pd.DataFrame]:
        """By task, mean and standard deviation over seeds (and the groups they hold out), see
        :func:`summarize`.
        """
        over = ("seed", "group")
        return {task: summarize(frame, over=[c for c in over if c in frame]) for task, frame in self.frames.items()}

    def differences(self, *, level: float = 0.95) -> dict[str, pd.DataFrame]:
        """By task, the reference minus every other method, paired over seeds, see
        :func:`paired_differences`.

        The metric is macro_f1 for panels and depth, poisson_nll (smaller is better) for denoising,
        and each metric of integration. A task that the reference cannot do is left out.
        """
        found = {}
        for task, frame in self.frames.items():
            if self.reference in set(frame["method"]) and frame["method"].nunique() > 1:
                options = {**DIFFERENCES[task], "pair": ("seed", "group"), "level": level}
                found[task] = paired_differences(frame, reference=self.reference, **options)
        return found
