"""What roots of counts are expected to be at other depths than that of an average cell."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_LEVELS = torch.arange(-10.0, 5.0)
"""Binary logarithms of depths over that of an average cell."""
_AVERAGE = 10
"""Its place among them."""
_LOG_NODES = torch.linspace(math.log(1e-12), math.log(1e8), 100, dtype=torch.float64)
_LOG_DISPERSIONS = (-9.0, 9.0)
_LEAST_RATIO, _LEAST_VARIANCE = 0.3, 1e-8


def expected_root(mean: Tensor, dispersion: Tensor) -> Tensor:
    r"""Mean of the root of a negative binomial count.

    A root is a mixture of exponentials, :math:`\sqrt x = \int_0^\infty (1 - e^{-xu}) u^{-3/2} du /
    2 \sqrt\pi`, so its mean follows from the generating function at 100 nodes, whatever the size
    of the count.

    Parameters
    ----------
    mean, dispersion
        Of each gene, positive, float64 (G,): variance is mean + mean^2 / dispersion.

    Returns
    -------
    Float64 (G,).
    """
    u = _LOG_NODES.to(mean.device).exp()
    step = float(_LOG_NODES[1] - _LOG_NODES[0])
    unseen = torch.exp(-dispersion[:, None] * torch.log1p(mean[:, None] * -torch.expm1(-u) / dispersion[:, None]))  # (G, nodes)
    inside = ((1 - unseen) * u.rsqrt()).sum(1) * step / 2
    return (inside + (1 - unseen[:, -1]) * u[-1].rsqrt() / 2) / math.sqrt(math.pi)  # half a step less, and the tail


def fit_dispersion(mean: Tensor, root: Tensor) -> Tensor:
    """Dispersion at which a negative binomial count of known mean has a root of known mean, by
    bisection; both float64 (G,).
    """
    low, high = (torch.full_like(mean, bound) for bound in _LOG_DISPERSIONS)
    for _ in range(40):
        middle = (low + high) / 2
        short = expected_root(mean, middle.exp()) < root  # the root grows with the dispersion
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return ((low + high) / 2).exp()


class DepthMoments(nn.Module):
    """Shifts of the mean and ratios of the spread of each gene's content by depth.

    The root of a count that is scaled up from a shallow cell is smaller in the mean than that of a
    deep cell, and more variable: zeros stay zero. Given the total of a cell the counts of a gene
    over cells are taken as negative binomial, with the dispersion at which the mean root of an
    average cell is the one that was measured.

    Parameters
    ----------
    mean_count
        Mean count of each gene in an average cell, float32 (G,).
    mean_root
        Mean root of it, float32 (G,).
    """

    root: Tensor
    spread: Tensor

    def __init__(self, mean_count: Tensor, mean_root: Tensor) -> None:
        super().__init__()
        mean = mean_count.double().clamp(min=1e-8)
        dispersion = fit_dispersion(mean, mean_root.double())
        counts = mean * torch.exp2(_LEVELS.double())[:, None]  # (levels, G)
        roots = torch.stack([expected_root(row, dispersion) for row in counts])
        # kept with the weights, so that a model is read back without being fitted again
        self.register_buffer("root", roots.float())
        self.register_buffer("spread", (counts - roots.square()).clamp(min=_LEAST_VARIANCE).sqrt().float())

    def forward(self, depth: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to means and to multiply deviations by, (B, G) each; 0 and 1 for an average
        cell.

        Parameters
        ----------
        depth
            Counts of each cell over those that an average cell has of the same genes, (B,).
        factor
            What the counts were scaled by, (B,).
        """
        place = (torch.log2(depth) - float(_LEVELS[0])).clamp(0, len(_LEVELS) - 1)
        lower = place.floor().clamp(max=len(_LEVELS) - 2).long()
        weight, scale = (place - lower)[:, None], factor.sqrt()[:, None]
        root, spread = (scale * torch.lerp(table[lower], table[lower + 1], weight) for table in (self.root, self.spread))
        return root - self.root[_AVERAGE], (spread / self.spread[_AVERAGE]).clamp(min=_LEAST_RATIO)
