"""Dispersions that fit cells which were not trained on, so that intervals hold what they
promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from r2mae_bio.likelihoods import GENE_LIKELIHOODS, GeneParams
from r2mae_bio.masking import MaskPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder

_SHIFTS: Final = torch.arange(-4.0, 6.01, 0.25)
"""Changes of the logarithm that are tried."""
_PRIOR_SD: Final = 1.0
"""How far the shifts of single genes are believed to lie from that of all genes."""


@torch.inference_mode()
def calibrated_dispersion(
    network: GeneMaskedAutoencoder, likelihood: str, batches: Iterable[tuple[CellBatch, Tensor]]
) -> Tensor | None:
    """Dispersions under which hidden genes of some cells are most probable, means left as they are.

    Training moves a dispersion by no more than a learning rate per step, far too little in a few
    hundred steps, and with means that fit the training cells better than others. Per gene, the
    logarithm is shifted to the maximum of the likelihood times a normal prior around the shift that
    suits all genes together; a gene with few counts stays near the latter.

    Parameters
    ----------
    network
        Trained; not changed.
    likelihood
        Its likelihood.
    batches
        Cells of one panel, best such that the network was not trained on, and masks that hide every
        gene measured in them equally often, bool (M, G).

    Returns
    -------
    Of the kind of ``network.decoder.dispersion``, (1, G), or None if the likelihood has no
    dispersion.
    """
    current = network.decoder.dispersion
    if current is None:
        return None
    shifts = _SHIFTS.to(current.device)
    nll = torch.zeros(shifts.numel(), current.shape[1], dtype=torch.float64, device=current.device)
    for batch, masks in batches:
        for mask in masks:
            tokens = batch.tokens()
            params = network(tokens.hide(MaskPlan(mask[None], tokens.visible)), batch.context, measured=tokens.visible)
            for row, shift in zip(nll, shifts, strict=True):
                shifted = GeneParams(params.location, _shifted(network, shift), params.dropout)
                row += _nll_by_gene(likelihood, shifted, batch, mask & tokens.visible[0])
    common = shifts[nll.sum(1).argmin()]
    prior = ((shifts - common) / _PRIOR_SD).square() / 2
    return _shifted(network, shifts[(nll + prior[:, None]).argmin(0)]).clone()


def _shifted(network: GeneMaskedAutoencoder, shift: Tensor) -> Tensor:
    """Dispersion (1, G) moved by a number, or by one per gene."""
    decoder = network.decoder
    assert decoder.dispersion is not None
    return decoder.bounded(decoder.dispersion + shift)


def _nll_by_gene(likelihood: str, params: GeneParams, batch: CellBatch, hidden: Tensor) -> Tensor:
    """Sum over cells of the nll of hidden genes (G,), zeros at their own price as in
    :func:`r2mae_bio.likelihoods.masked_nll`.
    """
    law = GENE_LIKELIHOODS[likelihood]
    total = (law.nll_of_zero(params) * hidden).sum(0, dtype=torch.float64)
    chosen = hidden[batch.genes]
    rows, genes, values = batch.rows[chosen], batch.genes[chosen], batch.values[chosen]
    picked = params.at(rows, genes)
    return total.index_add(0, genes, (law.nll(values, picked) - law.nll_of_zero(picked)).double())
