"""Models to take home: trained ones by name, and the way to and from the Hugging Face Hub.

What goes to the hub and comes from it needs an extra: ``pip install "r2mae_bio[hub]"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.models._card import model_card
    from r2mae_bio.models._entries import ModelEntry, path, registry
    from r2mae_bio.models._folder import load
    from r2mae_bio.models._hub import from_pretrained, push_to_hub, save_pretrained

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "models._card": "model_card",
        "models._entries": "ModelEntry path registry",
        "models._folder": "load",
        "models._hub": "from_pretrained push_to_hub save_pretrained",
    },
)
