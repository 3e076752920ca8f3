"""Starting a gene network at a factor analysis of the training cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from r2mae_bio.cells.network._content import TRANSFORMS
from r2mae_bio.cells.network._encoder import GeneTransformer

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.cells.network._content import GeneContent
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder


def _log_per_content(content: GeneContent) -> Tensor:
    """How much the log of an expected count moves with its content, (G,): 1 for logs, and 2 / y for
    a root y, at most 1.
    """
    if not content.counts or content.transform is TRANSFORMS["log"]:
        return torch.ones_like(content.mean)
    return 2 / content.mean.clamp(min=2)


@torch.no_grad()
def start_from_factors(network: GeneMaskedAutoencoder, loadings: Tensor, noise: Tensor, mean: Tensor | None = None) -> None:
    """Set the weights so that the untrained network embeds and predicts as a factor analysis would.

    The least-squares read becomes the posterior mean of the factors, each latent dimension one
    factor in units of its loading length, and the linear part of the decoder the loadings. Weights
    that are not named keep their random start, and the transformer's addition to the latent vector
    stays zero. Without effect on an MLP encoder.

    Parameters
    ----------
    network
        A new network of G genes and F factors, changed in place.
    loadings
        Loadings of expression, as the encoder reads it, on orthogonal factors, strongest first,
        float32 (G, F).
    noise
        Variance of each gene that the factors leave, float32 (G,).
    mean
        Expression of the average cell, float32 (G,), where it is not the mean that the network has.
    """
    encoder: nn.Module = network.encoder
    if not isinstance(encoder, GeneTransformer):
        return
    if mean is not None:
        network.content.mean.copy_(mean)
        if not network.content.counts:
            network.decoder.location.bias.copy_(mean)
    sd = network.content.sd
    n = min(encoder.linear.out_features, loadings.shape[1])
    length = loadings.norm(dim=0).clamp(min=1e-6)
    encoder.read.keys.copy_(loadings / sd[:, None])
    encoder.read.log_noise.copy_((noise / sd.square()).log())
    encoder.linear.weight.zero_()
    encoder.linear.bias.zero_()
    encoder.linear.weight[:n, :n] = torch.diag(length[:n])
    linear = network.decoder.location_linear.weight  # (G, Z + C)
    linear.zero_()
    linear[:, :n] = (loadings / length)[:, :n] * _log_per_content(network.content)[:, None]
