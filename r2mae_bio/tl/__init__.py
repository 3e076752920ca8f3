"""Tools: pretrain, embed, export."""

from __future__ import annotations

from r2mae_bio.tl._embed import embed
from r2mae_bio.tl._export import export_embedding
from r2mae_bio.tl._pretrain import pretrain

__all__ = ["embed", "export_embedding", "pretrain"]
