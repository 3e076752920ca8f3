"""Tools: pretrain, embed, map, transfer, impute, explain, score, and ask the theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.tl._attribute import attribute
    from r2mae_bio.tl._dependency_map import dependency_map
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
    from r2mae_bio.tl._score_variants import neutral_expectation, score_variants
    from r2mae_bio.tl._spectrum import spectrum
    from r2mae_bio.tl._tracks import merge_tracks, saturation_track, to_bedgraph
    from r2mae_bio.tl._transfer_labels import transfer_labels

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "tl._attribute": "attribute",
        "tl._dependency_map": "dependency_map",
        "tl._embed": "embed",
        "tl._embed_regions": "embed_regions",
        "tl._embed_sequences": "embed_sequences",
        "tl._export": "export_embedding",
        "tl._gene_embeddings": "gene_embeddings",
        "tl._impute": "impute",
        "tl._map_query": "map_query",
        "tl._pretrain": "pretrain",
        "tl._recommend_mask_ratio": "recommend_mask_ratio",
        "tl._saturation": "saturation_mutagenesis",
        "tl._score_variants": "neutral_expectation score_variants",
        "tl._spectrum": "spectrum",
        "tl._tracks": "merge_tracks saturation_track to_bedgraph",
        "tl._transfer_labels": "transfer_labels",
    },
)
