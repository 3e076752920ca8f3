"""Tools: pretrain, embed, export, and what the theory says of a data set."""

from __future__ import annotations

from r2mae_bio.tl._attribute import attribute
from r2mae_bio.tl._bedgraph import to_bedgraph
from r2mae_bio.tl._embed import embed
from r2mae_bio.tl._embed_regions import embed_regions
from r2mae_bio.tl._embed_sequences import embed_sequences
from r2mae_bio.tl._export import export_embedding
from r2mae_bio.tl._gene_embeddings import gene_embeddings
from r2mae_bio.tl._impute import impute
from r2mae_bio.tl._map_query import map_query
from r2mae_bio.tl._pretrain import pretrain
from r2mae_bio.tl._recommend_mask_ratio import recommend_mask_ratio
from r2mae_bio.tl._saturation import saturation_mutagenesis
from r2mae_bio.tl._score_variants import score_variants
from r2mae_bio.tl._spectrum import spectrum
from r2mae_bio.tl._transfer_labels import transfer_labels

__all__ = [
    "attribute",
    "embed",
    "embed_regions",
    "embed_sequences",
    "export_embedding",
    "gene_embeddings",
    "impute",
    "map_query",
    "pretrain",
    "recommend_mask_ratio",
    "saturation_mutagenesis",
    "score_variants",
    "spectrum",
    "to_bedgraph",
    "transfer_labels",
]
