"""The part of ``GeneMAE`` that says where genes lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.cells.model._reader import SavedGeneModel
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.cells.network._encoder import GeneTransformer
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.config import GeneConfig

_KINDS = ("keys", "decoder")


class GeneEmbeddingsMixin(SavedGeneModel):
    """What a gene model learned about genes, as vectors."""

    def get_gene_embeddings(self, *, kind: str | None = None) -> pd.DataFrame:
        """Embed the genes: genes that vary together among the training cells point the same way
        (compare by cosine).

        Parameters
        ----------
        kind
            ``"keys"``: what the least-squares read of the transformer holds of each gene, the
            gene's loading on the factors that it reads, in standard deviations of the gene's
            content. ``"decoder"``: how the logarithm of the gene's expected share of a cell's
            counts (of its expected value, for ``gene_likelihood="normal"``) moves with each
            dimension of the embedding, at the average cell. If None, ``"keys"``, or ``"decoder"``
            for the MLP encoder, which has no keys.

        Returns
        -------
        One float32 row per gene of the vocabulary, indexed by its name: (n_genes, n_factors) for
        keys, (n_genes, n_latent) for the decoder. The lengths of rows say how much of a gene the
        model follows; genes that vary alone are short.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            There is no such kind, or the encoder has no keys.
        """
        network = self._network().eval()
        if choose_kind(kind, self.config) == "keys":
            rows = cast("GeneTransformer", network.encoder).read.keys.detach()
        else:
            rows = _decoder_slopes(network)
        return pd.DataFrame(rows.float().cpu().numpy().copy(), index=pd.Index(self.vocabulary.names))


def choose_kind(kind: str | None, config: GeneConfig) -> str:
    """The kind of gene embedding that is meant: the one asked for, or the one that suits the
    encoder.

    Parameters
    ----------
    kind
        As in :meth:`GeneEmbeddingsMixin.get_gene_embeddings`.
    config
        Of the model.

    Returns
    -------
    ``"keys"`` or ``"decoder"``.

    Raises
    ------
    ConfigError
        There is no such kind, or the encoder has no keys.
    """
    has_keys = config.encoder == "transformer"
    if kind is None:
        return "keys" if has_keys else "decoder"
    if kind not in _KINDS:
        message = f"kind is {kind!r}; needed is one of {_KINDS}, or None for the one that suits the encoder."
        raise ConfigError(message)
    if kind == "keys" and not has_keys:
        message = f"kind is 'keys', but the {config.encoder!r} encoder has none; pass kind='decoder', or train a transformer."
        raise ConfigError(message)
    return kind


def average_cell(network: GeneMaskedAutoencoder) -> tuple[Tensor, TokenBatch]:
    """Content and tokens of a cell with every gene measured and at its average, both (1, G)."""
    n_genes, device = network.content.share.shape[0], network.content.share.device
    content = torch.zeros(1, n_genes, device=device)
    everything = torch.ones(1, n_genes, dtype=torch.bool, device=device)
    return content, TokenBatch(torch.arange(n_genes, device=device)[None], content, everything, full=True)


@torch.no_grad()
def _decoder_slopes(network: GeneMaskedAutoencoder) -> Tensor:
    """Derivative of what the decoder expects of each gene by the latent vector, at the average
    cell, (G, Z).
    """
    decoder = network.decoder
    content, batch = average_cell(network)
    latent = network.encoder.embed(content, batch)[0]
    context = latent.new_zeros(decoder.location_linear.in_features - latent.shape[0])

    def hidden(z: Tensor) -> Tensor:
        features: Tensor = decoder.hidden(torch.cat([z, context]))
        return features

    curved = decoder.location.weight @ torch.autograd.functional.jacobian(hidden, latent)  # cheaper than one row per gene
    slopes: Tensor = curved + decoder.location_linear.weight[:, : latent.shape[0]]
    if not decoder.counts:
        return slopes
    location = decoder.location(hidden(latent)) + decoder.location_linear(torch.cat([latent, context]))
    return slopes - torch.softmax(location, 0) @ slopes  # shares add up to 1: one can only grow at the cost of others
