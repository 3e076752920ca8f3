"""Plots of a training run and of a data set. Every function returns Axes and shows nothing by
itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.pl._dependency_map import dependency_map
    from r2mae_bio.pl._embedding_report import embedding_report
    from r2mae_bio.pl._history import history
    from r2mae_bio.pl._mask_ratios import mask_ratios
    from r2mae_bio.pl._risk_curve import risk_curve
    from r2mae_bio.pl._saturation import saturation
    from r2mae_bio.pl._spectrum import spectrum

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "pl._dependency_map": "dependency_map",
        "pl._embedding_report": "embedding_report",
        "pl._history": "history",
        "pl._mask_ratios": "mask_ratios",
        "pl._risk_curve": "risk_curve",
        "pl._saturation": "saturation",
        "pl._spectrum": "spectrum",
    },
)
