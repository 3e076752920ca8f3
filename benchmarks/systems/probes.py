"""What simple classifiers read from frozen representations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.evaluate import fit_probe

if TYPE_CHECKING:
    import numpy as np

KINDS = {"linear": "linear F1", "knn": "kNN F1"}


def probe_scores(
    reference: np.ndarray,
    labels: np.ndarray,
    query: np.ndarray,
    truth: np.ndarray,
    *,
    what: str = "",
    kinds: tuple[str, ...] = ("linear", "knn"),
) -> dict[str, float]:
    """Macro-F1 on the query by probe, under the name of what is asked."""
    return {f"{what}{KINDS[kind]}": fit_probe(reference, labels, kind=kind).score(query, truth).macro_f1 for kind in kinds}  # type: ignore[arg-type]
