"""Negative log-likelihoods of gene expression, and their sum over hidden slots at the cost of the
non-zero ones.

Every likelihood gives the nll of an observation and, apart, the cheaper nll of a zero. A sum over a
sparse minibatch is the zero part over all hidden slots plus a correction at the hidden non-zero
entries, so no special function is evaluated on zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from r2mae_bio.masking._numbers import as_numbers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class GeneParams:
    """Parameters of the distribution of every slot; (B, L) or broadcastable to it."""

    location: Tensor
    """Log mean of counts, or the mean of a normal, (B, L)."""
    dispersion: Tensor | None = None
    """Log inverse dispersion theta of a negative binomial, or log standard deviation of a normal,
    (1, L).
    """
    dropout: Tensor | None = None
    """Logit of the probability of a structural zero, (B, L)."""

    def at(self, rows: Tensor, slots: Tensor) -> GeneParams:
        """The parameters of single slots, each of shape (n,).

        Parameters
        ----------
        rows, slots
            Positions, int64 (n,).
        """
        location = self.location[0, slots] if self.location.shape[0] == 1 else self.location[rows, slots]
        return GeneParams(location, self._pick(self.dispersion, rows, slots), self._pick(self.dropout, rows, slots))

    @staticmethod
    def _pick(tensor: Tensor | None, rows: Tensor, slots: Tensor) -> Tensor | None:
        if tensor is None:
            return None
        return tensor[0, slots] if tensor.shape[0] == 1 else tensor[rows, slots]


class GeneLikelihood(Protocol):
    """What a likelihood of gene expression offers."""

    def nll(self, value: Tensor, params: GeneParams) -> Tensor:
        """Negative log-likelihood of ``value``, nats, elementwise."""

    def nll_of_zero(self, params: GeneParams) -> Tensor:
        """The same for a value of zero."""


def _given(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        message = "this likelihood needs a parameter that the head did not give"
        raise TypeError(message)
    return tensor


class Poisson:
    """Counts with mean exp(location)."""

    def nll(self, value: Tensor, params: GeneParams) -> Tensor:
        """Negative log-likelihood, nats."""
        return params.location.exp() - value * params.location + torch.lgamma(value + 1)

    def nll_of_zero(self, params: GeneParams) -> Tensor:
        """Negative log-likelihood of a zero, nats: the mean."""
        return params.location.exp()


class NegativeBinomial:
    r"""Counts with mean m = exp(location) and inverse dispersion t = exp(dispersion); variance m +
    m²/t.

    With s = log m - log t, the nll of x is t softplus(s) + x softplus(-s) + lgamma(x + 1) +
    lgamma(t) - lgamma(x + t): the logit form of the usual parametrisation
    (scvi.distributions.NegativeBinomial), stable for any s.
    """

    def nll(self, value: Tensor, params: GeneParams) -> Tensor:
        """Negative log-likelihood, nats."""
        log_theta = _given(params.dispersion)
        theta, logit = log_theta.exp(), params.location - log_theta
        combinations = torch.lgamma(value + 1) + torch.lgamma(theta) - torch.lgamma(value + theta)
        return theta * F.softplus(logit) + value * F.softplus(-logit) + combinations

    def nll_of_zero(self, params: GeneParams) -> Tensor:
        """Negative log-likelihood of a zero, nats: t softplus(s)."""
        log_theta = _given(params.dispersion)
        return log_theta.exp() * F.softplus(params.location - log_theta)


class ZeroInflatedNegativeBinomial:
    """A negative binomial, replaced by a zero with probability sigmoid(dropout)."""

    _nb: Final = NegativeBinomial()

    def nll(self, value: Tensor, params: GeneParams) -> Tensor:
        """Negative log-likelihood, nats."""
        positive = F.softplus(_given(params.dropout)) + self._nb.nll(value, params)
        return torch.where(value == 0, self.nll_of_zero(params), positive)

    def nll_of_zero(self, params: GeneParams) -> Tensor:
        """Negative log-likelihood of a zero, nats: -log(p + (1 - p) NB(0))."""
        logit = _given(params.dropout)
        return F.softplus(logit) - F.softplus(logit + self._nb.nll_of_zero(params)) + self._nb.nll_of_zero(params)


class Normal:
    """Log-normalised expression with mean ``location`` and standard deviation exp(dispersion)."""

    def nll(self, value: Tensor, params: GeneParams) -> Tensor:
        """Negative log-likelihood, nats."""
        log_sd = _given(params.dispersion)
        return ((value - params.location) * torch.exp(-log_sd)).square() / 2 + log_sd + math.log(2 * math.pi) / 2

    def nll_of_zero(self, params: GeneParams) -> Tensor:
        """Negative log-likelihood of a zero, nats."""
        return self.nll(torch.zeros_like(params.location), params)


GENE_LIKELIHOODS: Final[dict[str, GeneLikelihood]] = {
    "nb": NegativeBinomial(),
    "zinb": ZeroInflatedNegativeBinomial(),
    "poisson": Poisson(),
    "normal": Normal(),
}


def masked_nll(
    likelihood: GeneLikelihood, params: GeneParams, rows: Tensor, slots: Tensor, values: Tensor, hidden: Tensor
) -> Tensor:
    """Sum of the nll over the hidden slots of every row.

    Parameters
    ----------
    likelihood
        One of :data:`GENE_LIKELIHOODS`.
    params
        Parameters of all slots, (B, L).
    rows, slots, values
        The non-zero entries of the minibatch, (n,) each; entries that are not hidden are passed
        over.
    hidden
        Slots that count, bool (B, L).

    Returns
    -------
    Nats per row, (B,).
    """
    place = torch.add(slots, rows, alpha=hidden.shape[1])  # in the flattened minibatch
    chosen = hidden.reshape(-1)[place].nonzero()[:, 0]
    rows, slots, values = (entries.index_select(0, chosen) for entries in (rows, slots, values))
    log_theta, n_slots = params.dispersion, hidden.shape[1]
    shared = log_theta is not None and log_theta.shape == (1, n_slots)
    if isinstance(likelihood, NegativeBinomial) and shared and params.location.shape == hidden.shape:
        nats: Tensor = _MaskedNegativeBinomial.apply(params.location, log_theta, rows, slots, values, hidden)  # type: ignore[no-untyped-call]
        return nats
    zero_part = (likelihood.nll_of_zero(params) * as_numbers(hidden)).sum(1)
    picked = params.at(rows, slots)
    correction = likelihood.nll(values, picked) - likelihood.nll_of_zero(picked)
    return zero_part.index_add(0, rows, correction)


class _MaskedNegativeBinomial(torch.autograd.Function):
    """The sum of :class:`NegativeBinomial` over hidden slots in few passes over (B, L), with the
    gradient by hand: that of the location is t sigmoid(s) - x sigmoid(-s).
    """

    @staticmethod
    def forward(
        ctx: Any, location: Tensor, log_theta: Tensor, rows: Tensor, slots: Tensor, values: Tensor, hidden: Tensor
    ) -> Tensor:
        """Nats (B,) of locations (B, L), log_theta (1, L) and the hidden non-zero entries (n,)."""
        theta, logit = log_theta[0].exp(), location - log_theta
        weight = as_numbers(hidden, theta.dtype).mul_(theta)  # (B, L)
        of_zero = F.softplus(logit).mul_(weight)
        place = torch.add(slots, rows, alpha=hidden.shape[1])
        of_entry, theta_entry = logit.view(-1).index_select(0, place), theta[slots]
        combinations = torch.lgamma(values + 1) + torch.lgamma(theta)[slots] - torch.lgamma(values + theta_entry)
        correction = values * F.softplus(-of_entry) + combinations
        ctx.save_for_backward(logit, weight, of_zero, theta, of_entry, rows, slots, values, place)
        return of_zero.sum(1).index_add_(0, rows, correction)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of location (B, L) and log_theta (1, L)."""
        logit, weight, of_zero, theta, of_entry, rows, slots, values, place = ctx.saved_tensors
        of_location = torch.sigmoid(logit).mul_(weight).mul_(grad[:, None])
        of_entry, theta_entry = grad[rows] * values * torch.sigmoid(-of_entry), theta[slots]
        of_location.view(-1).index_add_(0, place, of_entry, alpha=-1)
        slope = torch.digamma(theta)[slots] - torch.digamma(values + theta_entry)
        of_theta = (grad @ of_zero - of_location.sum(0)).index_add_(0, slots, grad[rows] * theta_entry * slope)
        return of_location, of_theta[None], None, None, None, None
