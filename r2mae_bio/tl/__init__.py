"""Tools: pretrain, embed, export, and what the theory says of a data set."""

from __future__ import annotations

from r2mae_bio.tl._bedgraph import to_bedgraph
from r2mae_bio.tl._embed import embed
from r2mae_bio.tl._embed_regions import embed_regions
from r2mae_bio.tl._embed_sequences import embed_sequences
from r2mae_bio.tl._export import export_embedding
from r2mae_bio.tl._pretrain import pretrain
from r2mae_bio.tl._recommend_mask_ratio import recommend_mask_ratio
from r2mae_bio.tl._saturation import saturation_mutagenesis
from r2mae_bio.tl._score_variants import score_variants
from r2mae_bio.tl._spectrum import spectrum

__all__ = [
    "embed",
    "embed_regions",
    "embed_sequences",
    "export_embedding",
    "pretrain",
    "recommend_mask_ratio",
    "saturation_mutagenesis",
    "score_variants",
    "spectrum",
    "to_bedgraph",
]
