"""Tools: pretrain, embed, export, and what the theory says of a data set."""

from __future__ import annotations

from r2mae_bio.tl._embed import embed
from r2mae_bio.tl._export import export_embedding
from r2mae_bio.tl._pretrain import pretrain
from r2mae_bio.tl._recommend_mask_ratio import recommend_mask_ratio
from r2mae_bio.tl._spectrum import spectrum

__all__ = ["embed", "export_embedding", "pretrain", "recommend_mask_ratio", "spectrum"]
