"""From the embedding of a panel of genes to that of the whole cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PanelReader"]

_WIDTH = 256


class PanelReader(nn.Module):
    """Guesses what the embedding of a cell would be with every gene measured.

    A linear read of a panel puts a cell where it lies only up to an error whose size and direction
    depend on the panel. Which cells there are, and so which guess is right, can be learned: whole
    cells are read by random panels of their genes, and a small network learns the way back. It
    begins as the identity, and is the identity where nothing is lacking.

    Parameters
    ----------
    n_latent
        Dimensions Z of the embedding.
    n_factors
        Number of factors F of the read.
    """

    centre: Tensor
    """Mean embedding of whole cells, (Z,)."""
    scale: Tensor
    """Standard deviation of their embeddings, (Z,); positive."""

    def __init__(self, n_latent: int, n_factors: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))
        with torch.random.fork_rng(devices=[]):  # weights made after it are what they are without it
            self.layers = nn.Sequential(
                nn.Linear(n_latent + n_factors, _WIDTH),
                nn.SiLU(),
                nn.Linear(_WIDTH, _WIDTH),
                nn.SiLU(),
                nn.Linear(_WIDTH, n_latent),
            )
        self.requires_grad_(requires_grad=False)  # only fit_panel_reader trains it
        self.forget()

    def begin(self) -> None:
        """Draw new weights, under which it is the identity."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        self.forget()

    def forget(self) -> None:
        """Be the identity."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, latent: Tensor, known: Tensor) -> Tensor:
        """Embeddings of whole cells, (B, Z).

        Parameters
        ----------
        latent
            Embeddings of panels (B, Z).
        known
            Share of the variance over whole cells that the panel tells of each factor, float32 (B,
            F) or (1, F), 1 where it tells all.
        """
        lacking = (1 - known.mean(1, keepdim=True)).clamp(min=0).sqrt().detach()  # its slope is infinite where it is 0
        place = (latent - self.centre) / self.scale
        return latent + lacking * self.scale * self.layers(torch.cat([place, known.expand(len(latent), -1)], 1))
