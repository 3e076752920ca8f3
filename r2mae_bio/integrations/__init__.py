"""A random mask ratio in models of other packages.

What is for Hugging Face needs an extra: ``pip install "r2mae_bio[huggingface]"``.

``huggingface``
    A collator for masked language models, of text or DNA, in place of
    ``DataCollatorForLanguageModeling``. The training scripts of GPN take it as well: their model
    is such a masked language model.
``vit_mae``
    A random ratio for ``transformers.ViTMAEForPreTraining``.
``scvi``
    ``R2SCVI`` and ``R2SCANVI``: models of scvi-tools whose encoder sees a part of the genes.
``lightning``
    A callback that logs ratios, and the loss by ratio, of any Lightning module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from r2mae_bio.integrations import huggingface, lightning, scvi, vit_mae

__all__ = ["huggingface", "lightning", "scvi", "vit_mae"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
