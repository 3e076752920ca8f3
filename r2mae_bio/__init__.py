"""Masked-autoencoder transformers for cells and DNA, pretrained at a mask ratio that is itself
drawn at random (R2MAE).

Subpackages load when first used, so importing this package is cheap:

``pp``, ``tl``, ``pl``
    Verbs on AnnData, sequences and variants: prepare, compute, plot.
``model``
    ``GeneMAE`` and ``DNAMAE``: train, embed, fine-tune, save, load; and the classifiers made of
    them.
``models``
    Trained models by name, and the way to and from the Hugging Face Hub.
``masking``
    The laws from which mask ratios are drawn, and the plans drawn from them.
``theory``
    The linear theory of mask-based pretraining: risk against the mask ratio, for a data set's own
    gene spectrum.
``io``, ``datasets``
    Reading cells, genomes and variants, gene identity, and the data sets used in the documentation.
``errors``
    Every exception raised on purpose.
``integrations``
    A random mask ratio in models of Hugging Face and scvi-tools, and in any Lightning module.
``evaluate``
    Probes, transfer and controls: arrays in, a tidy table out.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from r2mae_bio._version import __version__

if TYPE_CHECKING:
    from types import ModuleType

    from r2mae_bio import datasets, errors, evaluate, integrations, io, masking, model, models, pl, pp, theory, tl


__all__ = [
    "__version__",
    "datasets",
    "errors",
    "evaluate",
    "integrations",
    "io",
    "masking",
    "model",
    "models",
    "pl",
    "pp",
    "theory",
    "tl",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    msg = f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
