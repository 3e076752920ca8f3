"""Where genes lie, as a network has learned it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.cells.network._encoder import GeneTransformer
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.config import GeneConfig

_KINDS = ("keys", "decoder")


def embed_genes(network: GeneMaskedAutoencoder, kind: str) -> Tensor:
    """One row per gene, float32 (G, k), on the CPU.

    Parameters
    ----------
    network
        The network, in evaluation mode.
    kind
        ``"keys"``, which only a transformer has, or ``"decoder"``.
    """
    keys = kind == "keys"
    rows = cast("GeneTransformer", network.encoder).read.keys.detach() if keys else _decoder_slopes(network)
    return rows.float().cpu()


def choose_kind(kind: str | None, config: GeneConfig) -> str:
    """The kind of gene embedding that is meant: the one asked for, or the one that suits the
    encoder.

    Parameters
    ----------
    kind
        As in :meth:`GeneMAE.get_gene_embeddings`.
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
