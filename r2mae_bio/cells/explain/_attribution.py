"""Which genes a direction of the embedding rests on: integrated gradients of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2mae_bio.cells.fit._covariance import within_covariance
from r2mae_bio.cells.fit._table import CellTable, cells_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.explain._contrasts import Contrast
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.tokens import TokenBatch


@dataclass(frozen=True, eq=False)
class Attribution:
    """What sets the cells of a contrast apart, gene by gene."""

    contributions: NDArray[np.float64]
    """Contribution of every gene of the vocabulary to the difference of the scores, (G,); zero for
    genes that were not measured.
    """
    direction: NDArray[np.float32]
    """Direction in the latent space, (Z,); a cell's score is its product with the embedding."""
    difference: float
    """Mean score of the cells less that of the reference, in standard deviations of the score
    within groups.
    """

    @property
    def error(self) -> float:
        """By how much the contributions miss the difference that they should add up to; what the
        quadrature leaves.
        """
        return abs(float(self.contributions.sum()) - self.difference)


def attribute_contrasts(
    network: GeneMaskedAutoencoder,
    table: CellTable,
    contrasts: Sequence[Contrast],
    groups: Sequence[NDArray[np.int64]],
    *,
    method: str,
    steps: int,
) -> list[Attribution]:
    """Find what sets some cells apart, for each contrast.

    Parameters
    ----------
    network
        The network, in evaluation mode.
    table
        All cells.
    contrasts
        What to compare.
    groups
        Positions of the cells of each group; the spread within them is pooled.
    method
        ``"lda"``: difference of the means, whitened by the covariance within groups. ``"means"``:
        the difference itself.
    steps
        Nodes of the quadrature between the average cell and each cell.

    Returns
    -------
    One attribution per contrast.
    """
    covariance = within_covariance([_embed(network, table, cells) for cells in groups])
    return [_attribute(network, table, contrast, covariance, whiten=method == "lda", steps=steps) for contrast in contrasts]


def _attribute(
    network: GeneMaskedAutoencoder,
    table: CellTable,
    contrast: Contrast,
    covariance: NDArray[np.float64],
    *,
    whiten: bool,
    steps: int,
) -> Attribution:
    sides = (contrast.cells, contrast.reference)
    means = [_embed(network, table, cells).mean(0, dtype=np.float64) for cells in sides]
    direction = _direction(means[0] - means[1], covariance, whiten=whiten)
    ours, theirs = (mean_contributions(network, table, cells, direction, steps=steps) for cells in sides)
    return Attribution(ours - theirs, direction, float(direction.astype(np.float64) @ (means[0] - means[1])))


def _direction(difference: NDArray[np.float64], covariance: NDArray[np.float64], *, whiten: bool) -> NDArray[np.float32]:
    """A direction along which scores have a standard deviation of 1 within groups; zero if the
    means do not differ.
    """
    direction = np.linalg.solve(covariance, difference) if whiten else difference
    variance = float(direction @ covariance @ direction)
    return (direction / np.sqrt(variance) if variance > 0 else np.zeros_like(direction)).astype(np.float32)


def mean_contributions(
    network: GeneMaskedAutoencoder, table: CellTable, cells: NDArray[np.int64], direction: NDArray[np.float32], *, steps: int
) -> NDArray[np.float64]:
    r"""Integrated gradients of a score, averaged over cells (Sundararajan, Taly and Yan 2017, arXiv
    1703.01365).

    The contribution of gene g to the score s(x) of a cell of standardised content x is

        x_g \int_0^1 ds/dx_g (t x) dt,

    along the straight line from the average cell (content 0, with the same genes measured) to the
    cell. Over genes the contributions add up to s(x) - s(0). The integral is taken by
    Gauss-Legendre quadrature.

    Parameters
    ----------
    network
        The network, in evaluation mode.
    table
        All cells.
    cells
        Positions of those to average over.
    direction
        The score is the product of the embedding and this, (Z,).
    steps
        Nodes of the quadrature.

    Returns
    -------
    Mean contribution of every gene of the vocabulary, (G,).
    """
    total = np.zeros(table.source.measured.size)
    score = _score(network, torch.from_numpy(direction))
    for content, tokens in _contents(network, table, cells):
        total += _integrate(score, content, tokens, steps).sum(0, dtype=torch.float64).cpu().numpy()
    return total / cells.size


def _score(network: GeneMaskedAutoencoder, direction: Tensor) -> Callable[[Tensor, TokenBatch], Tensor]:
    return lambda content, tokens: network.embed_content(content, tokens).float() @ direction.to(content.device)


def _integrate(score: Callable[[Tensor, TokenBatch], Tensor], content: Tensor, tokens: TokenBatch, steps: int) -> Tensor:
    """Content times its mean gradient on the way from zero, (B, G)."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    slope = torch.zeros_like(content)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (content * float(node)).requires_grad_()
        slope += float(weight) * torch.autograd.grad(score(point, tokens).sum(), point)[0]
    return slope * content


def _embed(network: GeneMaskedAutoencoder, table: CellTable, cells: NDArray[np.int64]) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [network.embed_content(content, tokens) for content, tokens in _contents(network, table, cells)]
    return torch.cat(parts).float().cpu().numpy()


def _contents(network: GeneMaskedAutoencoder, table: CellTable, cells: NDArray[np.int64]) -> Any:
    """Standardised content (B, G) and tokens of the cells, some at a time."""
    reader = network.content
    for _, batch in table.panel_batches(cells_at_a_time(None), reader.share.device, cells=cells):
        tokens = batch.tokens()
        yield reader(tokens), tokens
