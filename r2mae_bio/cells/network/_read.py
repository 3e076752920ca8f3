"""Least-squares attention: reading a set of gene tokens by ridge regression instead of a
softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from r2mae_bio.tokens import TokenBatch


_LEAST_SPREAD = 1e-4
"""Below this share of a factor's variance nothing is known of it, and stretching what is read would
stretch rounding errors.
"""


class LeastSquaresRead(nn.Module):
    r"""Reads visible gene tokens into F factors by ridge regression of content on learned gene
    keys.

    Gene g has a key k_g (F numbers) and a noise variance v_g. For a cell with visible genes S and
    content y the read is

        m = (I + sum_S k_g k_g' / v_g)^-1  sum_S k_g y_g / v_g,

    attention whose softmax is replaced by least squares (Garnelo and Czarnecki 2023, arXiv
    2305.10203), and at the same time the posterior mean of a Gaussian factor model given the
    measured genes alone. Unlike a softmax it does not count redundant genes twice, and with fewer
    visible genes it shrinks towards the average cell instead of drifting. Measured zeros are
    evidence, hidden and unmeasured genes are absent.

    Cost is linear in the number of slots. When the slots are the whole vocabulary the F x F
    matrices of a minibatch are one matrix product of ``visible`` with a table of outer products;
    when rows bring their own ids (hidden slots dropped) they are batched products over the kept
    slots; when all rows see the same genes there is only one matrix.

    Parameters
    ----------
    n_genes
        Vocabulary size G.
    n_factors
        Number of factors F.
    """

    def __init__(self, n_genes: int, n_factors: int) -> None:
        super().__init__()
        self.n_factors = n_factors
        self.keys = nn.Parameter(torch.randn(n_genes, n_factors) * 0.1)
        self.log_noise = nn.Parameter(torch.zeros(n_genes))

    def forward(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """Read standardised content.

        Parameters
        ----------
        content
            (B, L), zero where not visible.
        batch
            Gives ``ids`` and ``visible``.

        Returns
        -------
        Posterior means, float32 (B, F).
        """
        with torch.autocast(content.device.type, enabled=False):
            weights = self._weights()
            return self._solve(content.float(), weights, self._precision(weights, batch), batch)

    def stretched(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """The read times its :meth:`gain`, float32 (B, F).

        Summed in float64 where the device has it, so that what is read of a cell does not depend on
        how the sums over its genes are cut, which differs with the size of the batch.
        """
        dtype = torch.float32 if content.device.type == "mps" else torch.float64
        with torch.autocast(content.device.type, enabled=False):
            weights = self._weights().to(dtype)
            precision = self._precision(weights, batch)
            return (self._solve(content.to(dtype), weights, precision, batch) * self._gain(weights, precision)).float()

    def gain(self, batch: TokenBatch) -> Tensor:
        r"""Factors by which a read of few genes is too short, float32 (B, F), or (1, F) when all
        rows see the same genes.

        A posterior mean shrinks towards the average cell as genes are taken away: over cells its
        variance is that of the prior minus the posterior variance, 1 - [P^-1]_ff with P the
        posterior precision. The gain is the ratio of the standard deviation with every gene of the
        vocabulary visible to that with the visible ones; 1 where all are.
        """
        with torch.autocast(self.keys.device.type, enabled=False):
            weights = self._weights()
            return self._gain(weights, self._precision(weights, batch))

    def _solve(self, content: Tensor, weights: Tensor, precision: Tensor, batch: TokenBatch) -> Tensor:
        """Posterior means, (B, F)."""
        if batch.full:
            evidence = content @ weights
        else:
            evidence = (content[:, None, :] @ weights[batch.ids])[:, 0]  # (B, 1, L) @ (B or 1, L, F)
        return torch.cholesky_solve(evidence[..., None], torch.linalg.cholesky(precision))[..., 0]

    def _gain(self, weights: Tensor, precision: Tensor) -> Tensor:
        """The gain at a posterior precision, (B, F) or (1, F)."""
        whole = torch.eye(self.n_factors, dtype=weights.dtype, device=weights.device) + self.keys.to(weights.dtype).T @ weights
        return torch.sqrt(_spread(whole[None]) / _spread(precision))

    def _weights(self) -> Tensor:
        """Keys over noise, (G, F)."""
        return self.keys * torch.exp(-self.log_noise)[:, None]

    def _precision(self, weights: Tensor, batch: TokenBatch) -> Tensor:
        """Posterior precision, (B, F, F) or (1, F, F)."""
        eye = torch.eye(self.n_factors, dtype=weights.dtype, device=weights.device)
        visible = batch.visible.to(weights.dtype)
        if not batch.full or visible.shape[0] == 1:
            keys, scaled = self.keys[batch.ids].to(weights.dtype), weights[batch.ids] * visible[..., None]  # (B, L, F)
            return eye + keys.transpose(1, 2) @ scaled
        scaled = (self.keys * torch.exp(-self.log_noise / 2)[:, None]).to(weights.dtype)  # (G, F)
        gram: Tensor = _MaskedGram.apply(visible, scaled)
        return eye + gram


def _spread(precision: Tensor) -> Tensor:
    """Variance over cells of the posterior means, (B, F), from the posterior precision (B, F,
    F).
    """
    return (1 - torch.linalg.inv(precision).diagonal(dim1=-2, dim2=-1)).clamp(min=_LEAST_SPREAD)


class _MaskedGram(torch.autograd.Function):
    """Sum of k k' over the visible slots of each row; the gradient by hand is a third of the time
    of the composed one.
    """

    @staticmethod
    def forward(ctx: Any, visible: Tensor, keys: Tensor) -> Tensor:  # type: ignore[override]
        """(B, L) and (L, F) to (B, F, F)."""
        ctx.save_for_backward(visible, keys)
        n = keys.shape[1]
        outer = (keys[:, :, None] * keys[:, None, :]).view(-1, n * n)
        return (visible @ outer).view(-1, n, n)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        """Gradient of the keys, (L, F)."""
        visible, keys = ctx.saved_tensors
        n = keys.shape[1]
        symmetric = (grad + grad.transpose(1, 2)).reshape(-1, n * n)
        return None, ((visible.T @ symmetric).view(-1, n, n) @ keys[:, :, None])[..., 0]
