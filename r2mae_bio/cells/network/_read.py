"""Least-squares attention: reading a set of gene tokens by ridge regression instead of a
softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from r2mae_bio.cells.network._panel_depth import CellDepths
from r2mae_bio.likelihoods._linear import product
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.cells.network._panel_depth import RootUnits


_LEAST_SPREAD = 1e-4
"""Below this share of a factor's variance nothing is known of it, and stretching what is read would
stretch rounding errors.
"""


class Stretched(NamedTuple):
    """A read of the spread of whole cells."""

    factors: Tensor
    """Float32 (B, F)."""
    known: Tensor | None
    """Share of the variance over whole cells that the visible genes tell of each factor, float32
    (B, F) or (1, F); None where every gene is visible.
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
            if batch.full:
                means: Tensor = _Posterior.apply(content.float(), batch.seen, self.keys, self.log_noise)
                return means
            weights = self.weights()
            return self._solve(content.float(), weights, self._precision(weights, batch), batch)

    def stretched(self, content: Tensor, batch: TokenBatch, units: RootUnits | None = None) -> Stretched:
        """The read times its :meth:`gain`; with units its depth is that of the cell as far as its
        factors tell, see :class:`CellDepths`.

        Summed in float64 where the device has it, so that what is read of a cell does not depend on
        how the sums over its genes are cut, which differs with the size of the batch.

        Parameters
        ----------
        content, batch
            As in :meth:`forward`.
        units
            What content stands for; None if it is no root of counts, whose scale is then taken as
            it is.
        """
        with torch.autocast(content.device.type, enabled=False):
            weights, whole = self.weights(self.summed_in), self._sees_all(batch)
            if units is None or whole:
                precision = self._precision(weights, batch)
                means = self._solve(content.to(weights.dtype), weights, precision, batch)
            else:
                depths = self._depths(batch.seen.to(weights.dtype), batch, units)
                means = depths.means(_evidence(content.to(weights.dtype), self.weights(self.summed_in, units), batch))
                precision = depths.precision
            gain = self._gain(weights, precision)
            return Stretched((means * gain).float(), None if whole else _known(gain))

    def _sees_all(self, batch: TokenBatch) -> bool:
        return batch.visible.shape[1] == len(self.keys) and bool(batch.visible.all())

    @property
    def summed_in(self) -> torch.dtype:
        """The type in which :meth:`stretched` sums."""
        return torch.float32 if self.keys.device.type == "mps" else torch.float64

    def stretched_from(self, seen: Tensor, units: RootUnits | None = None) -> Callable[[Tensor], Stretched]:
        """What turns the evidence, the product of content and :meth:`weights`, into
        :meth:`stretched`, (B, F) or with units (B, F + 1) to (B, F).

        Parameters
        ----------
        seen
            1 where a gene is visible and 0 elsewhere, (G,).
        units
            As in :meth:`stretched`, of a panel; None if all genes are visible.
        """
        weights = self.weights(seen.dtype)
        if units is not None:
            slots = TokenBatch(torch.arange(len(seen), device=seen.device)[None], seen[None], seen[None] > 0, full=True)
            depths = self._depths(seen[None], slots, units)
            gain = self._gain(weights, depths.precision)
            known = _known(gain)
            return lambda evidence: Stretched((depths.means(evidence) * gain).float(), known)
        precision = torch.eye(self.n_factors, dtype=seen.dtype, device=seen.device) + self.keys.T.to(seen.dtype) @ (
            weights * seen[:, None]
        )
        gain = self._gain(weights, precision[None])
        matrix, known_or_all = torch.linalg.inv(precision) * gain, None if bool((seen > 0).all()) else _known(gain)
        return lambda evidence: Stretched((evidence @ matrix).float(), known_or_all)

    def _depths(self, visible: Tensor, batch: TokenBatch, units: RootUnits) -> CellDepths:
        """How rows that see these genes are read."""
        keys = self._keys(units).to(visible.dtype)
        sd, noise = units.sd.to(visible.dtype), self.log_noise.to(visible.dtype)
        left = sd.square() * (1 - self.keys.to(visible.dtype).square().sum(1)).clamp(min=0)  # of each gene, to no factor
        loadings, share = keys * sd[:, None], units.share.to(visible.dtype)
        gram = _gram(visible, keys * torch.exp(-noise / 2)[:, None], batch)
        corner = torch.zeros_like(gram[0])
        corner[-1, -1] = 1
        size = _gram(visible, loadings, batch) + (visible * left[batch.ids]).sum(1)[:, None, None] * corner
        whole = (loadings.T @ loadings + left.sum() * corner)[None]
        return CellDepths(gram, size, whole, units.weight((visible * share[batch.ids]).sum(1)))

    def gain(self, batch: TokenBatch) -> Tensor:
        r"""Factors by which a read of few genes is too short, float32 (B, F), or (1, F) when all
        rows see the same genes.

        A posterior mean shrinks towards the average cell as genes are taken away: over cells its
        variance is that of the prior minus the posterior variance, 1 - [P^-1]_ff with P the
        posterior precision. The gain is the ratio of the standard deviation with every gene of the
        vocabulary visible to that with the visible ones; 1 where all are.
        """
        with torch.autocast(self.keys.device.type, enabled=False):
            weights = self.weights()
            return self._gain(weights, self._precision(weights, batch))

    def _solve(self, content: Tensor, weights: Tensor, precision: Tensor, batch: TokenBatch) -> Tensor:
        """Posterior means, (B, F)."""
        return _solve(torch.linalg.cholesky(precision), _evidence(content, weights, batch))

    def _gain(self, weights: Tensor, precision: Tensor) -> Tensor:
        """The gain at a posterior precision, (B, F) or (1, F)."""
        whole = torch.eye(self.n_factors, dtype=weights.dtype, device=weights.device) + self.keys.to(weights.dtype).T @ weights
        return torch.sqrt(_spread(whole[None]) / _spread(precision))

    def weights(self, dtype: torch.dtype = torch.float32, units: RootUnits | None = None) -> Tensor:
        """Keys over noise, (G, F), and with units the centre over noise as the last of F + 1
        columns.
        """
        return (self._keys(units) * torch.exp(-self.log_noise)[:, None]).to(dtype)

    def _keys(self, units: RootUnits | None) -> Tensor:
        """Keys (G, F), and with units the centre as the last of F + 1 columns."""
        return self.keys if units is None else torch.cat([self.keys, units.centre[:, None]], 1)

    def _precision(self, weights: Tensor, batch: TokenBatch) -> Tensor:
        """Posterior precision, (B, F, F) or (1, F, F)."""
        scaled = (self.keys * torch.exp(-self.log_noise / 2)[:, None]).to(weights.dtype)  # (G, F)
        return torch.eye(self.n_factors, dtype=weights.dtype, device=weights.device) + _gram(
            batch.seen.to(weights.dtype), scaled, batch
        )


def _known(gain: Tensor) -> Tensor:
    return gain.float() ** -2


def _evidence(content: Tensor, weights: Tensor, batch: TokenBatch) -> Tensor:
    """Sums over slots of content (B, L) times weights (G, F), (B, F)."""
    if batch.full:
        return content @ weights
    return (content[:, None, :] @ weights[batch.ids])[:, 0]  # (B, 1, L) @ (B or 1, L, F)


def _gram(visible: Tensor, keys: Tensor, batch: TokenBatch) -> Tensor:
    """Sum over visible slots of products of keys (G, F), (B, F, F) or (1, F, F)."""
    if batch.full and visible.shape[0] > 1:
        gram: Tensor = _MaskedGram.apply(visible, keys)
        return gram
    keys = keys[batch.ids]
    return keys.mT @ (keys * visible[..., None])


def _spread(precision: Tensor) -> Tensor:
    """Variance over cells of the posterior means, (B, F), from the posterior precision (B, F,
    F).
    """
    return (1 - torch.linalg.inv(precision).diagonal(dim1=-2, dim2=-1)).clamp(min=_LEAST_SPREAD)


def _masked_gram(visible: Tensor, keys: Tensor) -> Tensor:
    """Sum of k k' over the visible slots of each row, (B, L) and (L, F) to (B, F, F).

    A product of ``visible`` with a table of the products of keys, of which a symmetric matrix needs
    each pair once.
    """
    n, columns = keys.shape[1], keys.T.contiguous()
    table, start = keys.new_empty(n * (n + 1) // 2, keys.shape[0]), 0  # one piece of memory, filled in place
    for factor in range(n):
        torch.mul(columns[factor:], columns[factor], out=table[start : start + n - factor])
        start += n - factor
    first, second = torch.triu_indices(n, n, device=keys.device)
    place = torch.empty(n, n, dtype=torch.long, device=keys.device)
    place[first, second] = place[second, first] = torch.arange(start, device=keys.device)
    return product(visible, table).index_select(1, place.flatten()).view(-1, n, n)


class _MaskedGram(torch.autograd.Function):
    """:func:`_masked_gram`; the gradient by hand is a third of the time of the composed one."""

    @staticmethod
    def forward(ctx: Any, visible: Tensor, keys: Tensor) -> Tensor:  # type: ignore[override]
        """(B, L) and (L, F) to (B, F, F)."""
        ctx.save_for_backward(visible, keys)
        return _masked_gram(visible, keys)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        """Gradient of the keys, (L, F)."""
        visible, keys = ctx.saved_tensors
        n = keys.shape[1]
        symmetric = (grad + grad.transpose(1, 2)).reshape(-1, n * n)
        return None, (product(visible.T, symmetric.T).view(-1, n, n) @ keys[:, :, None])[..., 0]


class _Posterior(torch.autograd.Function):
    r"""Posterior means over a whole vocabulary, m = P^-1 e with e = sum_S k_g y_g / v_g.

    With g the gradient of m and a = P^-1 g, that of P is -(a m' + m a') / 2, which has rank two. So
    the gradient needs neither the F x F matrices of the rows nor the derivative of a factorisation:
    with residuals r = y - k'm and u = k'a of the visible genes it is (sum_b r a - u m) / v for the
    keys, and -(sum_b r u) / v for the logarithm of v.
    """

    @staticmethod
    def forward(ctx: Any, content: Tensor, seen: Tensor, keys: Tensor, log_noise: Tensor) -> Tensor:  # type: ignore[override]
        """(B, L), (B or 1, L), (L, F) and (L,) to (B, F); ``seen`` is 1 or 0."""
        scale = torch.exp(-log_noise / 2)[:, None]
        scaled = keys * scale  # (L, F)
        eye = torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device)
        gram = _masked_gram(seen, scaled) if seen.shape[0] > 1 else ((scaled * seen.T).T @ scaled)[None]
        factor = torch.linalg.cholesky(eye + gram)
        means = _solve(factor, product(content, (scaled * scale).T))
        ctx.save_for_backward(content, seen, keys, log_noise, factor, means)
        return means

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor]:  # type: ignore[override]
        """Gradients of content (B, L), keys (L, F) and logarithms of noise (L,)."""
        content, seen, keys, log_noise, factor, means = ctx.saved_tensors
        adjoint, precision = _solve(factor, grad), torch.exp(-log_noise)  # (B, F), (L,)
        residual = torch.sub(content, product(means, keys)).mul_(seen)
        slope = product(adjoint, keys).mul_(seen)  # (B, L)
        of_keys = (product(adjoint.T, residual.T) - product(means.T, slope.T)).T * precision[:, None]
        of_noise = residual.mul_(slope).sum(0).mul_(-precision)
        of_content = slope * precision if ctx.needs_input_grad[0] else None
        return of_content, None, of_keys, of_noise


def _solve(factor: Tensor, right: Tensor) -> Tensor:
    """Solutions (B, F) of systems whose matrices have Cholesky factors (B or 1, F, F)."""
    if factor.shape[0] == 1:
        return torch.cholesky_solve(right.T, factor[0]).T
    return torch.cholesky_solve(right[..., None], factor)[..., 0]
