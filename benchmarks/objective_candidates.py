"""What was tried to make a trained embedding better than its start: settings, corruptions of what
the encoder reads, further terms of the loss, and a second look at what the first read leaves.

What is no setting of the package is written here, on its own classes, so that it can be tried again
without being carried by every user.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from r2mae_bio._rng import derive_seed
from r2mae_bio.cells.fit._objective import GeneObjective
from r2mae_bio.cells.network._encoder import GeneTransformer
from r2mae_bio.core._objective import Score
from r2mae_bio.core._run import default_epochs
from r2mae_bio.core._seeded import seeded
from r2mae_bio.model import GeneMAE

if TYPE_CHECKING:
    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.fit._statistics import CellStatistics
    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.cells.network._panel_depth import RootUnits
    from r2mae_bio.config import GeneConfig
    from r2mae_bio.masking import MaskPlan
    from r2mae_bio.tokens import TokenBatch


@dataclass(frozen=True)
class Candidate:
    """One change to the default, or several."""

    model: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``GeneMAE``."""
    train: dict[str, Any] = field(default_factory=dict)
    """Further settings of training."""
    trained: bool = True
    """False is the start."""
    longer: int = 1
    """Length of training in units of the default; above 1 the best epoch is kept."""
    average: float = 0.0
    """Decay of an exponential average of the weights, which is what is kept; none at 0."""
    gain_sd: float = 0.0
    """Most standard deviation of log-normal gains of genes, drawn for each minibatch, in what the
    encoder reads.
    """
    thinning: float = 1.0
    """Least share of molecules that the encoder reads of a cell."""
    panel: float = 1.0
    """Least share of genes that are left for all cells of a minibatch, in half of them."""
    factor_dropout: float = 0.0
    """Probability of dropping a factor of the read."""
    agreement: str = ""
    """How embeddings of two complementary parts of a cell are drawn together: ``"cosine"``,
    ``"vicreg"`` or ``"contrast"``.
    """
    weight: float = 0.0
    """Of that, in nats for a hidden gene."""
    molecules: bool = False
    """Whether these parts are made of a cell's molecules, dealt at random, instead of its genes."""
    visible: float = 0.0
    """Weight of the likelihood of visible genes, in units of that of hidden ones."""
    second_look: int = 0
    """Factors of a second read, of residuals of the first."""

    def fit(self, adata: Any, seed: int) -> GeneMAE:
        """Train on cells that were set up."""
        settings = dict(self.model)
        model = CandidateMAE(adata, mask_ratio=settings.pop("mask_ratio", (0, 1)), seed=seed, **settings)
        model.candidate = self
        if not self.trained:
            model.initialize()
            return model
        epochs, callbacks = default_epochs(adata.n_obs, 128) * self.longer, []
        if self.average:
            from pytorch_lightning.callbacks import EMAWeightAveraging  # Lightning 2.5 has none

            callbacks.append(EMAWeightAveraging(decay=self.average))
        model.train(
            epochs, early_stopping=self.longer > 1, progress_bar=False, accelerator="cpu",
            train_kwargs=self.train, callbacks=callbacks,
        )  # fmt: skip
        return model


class CandidateMAE(GeneMAE):
    """A model with the objective and the encoder of a candidate."""

    candidate = Candidate()

    def _objective(self, statistics: CellStatistics) -> GeneObjective:
        return CandidateObjective(self.config.gene_likelihood, statistics, self.candidate, self.record.seed)

    def _build(self, table: CellTable, statistics: CellStatistics, train_size: float) -> GeneMaskedAutoencoder:
        network = super()._build(table, statistics, train_size)
        kind = SecondLook if self.candidate.second_look else FactorDropout if self.candidate.factor_dropout else None
        if kind is not None:
            with seeded(derive_seed(self.record.seed, "second look")):
                encoder = kind(network.content.share.shape[0], self.config, self.candidate)
            encoder.load_state_dict(network.encoder.state_dict(), strict=False)
            network.encoder = encoder.eval()
        return network


class FactorDropout(GeneTransformer):
    """Drops factors of the read in training."""

    def __init__(self, n_genes: int, config: GeneConfig, candidate: Candidate) -> None:
        super().__init__(n_genes, config)
        self.dropped = candidate.factor_dropout

    def _refined(self, read: Tensor) -> Tensor:
        return super()._refined(functional.dropout(read, self.dropped, self.training))


class SecondLook(GeneTransformer):
    """Also reads, each factor by itself, what the first read leaves of the visible genes."""

    def __init__(self, n_genes: int, config: GeneConfig, candidate: Candidate) -> None:
        super().__init__(n_genes, config)
        n = candidate.second_look
        self.second_keys = nn.Parameter(torch.randn(n_genes, n) * 0.05)
        self.second_tokens = nn.Linear(n, config.n_tokens * config.d_model)
        self.second_linear = nn.Linear(n, config.n_latent, bias=False)
        nn.init.zeros_(self.second_linear.weight)

    def forward(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """(B, L) to (B, Z)."""
        read = self.read(content, batch)
        return self._joined(read, self._second(content, read, batch))

    def embed(self, content: Tensor, batch: TokenBatch, units: RootUnits | None = None) -> Tensor:
        """As :meth:`forward`, the first read stretched."""
        second = self._second(content, self.read(content, batch), batch)
        return self._joined(self.read.stretched(content, batch, units).factors, second)

    def _second(self, content: Tensor, read: Tensor, batch: TokenBatch) -> Tensor:
        weights = self.second_keys * torch.exp(-self.read.log_noise)[:, None]
        left = (content - read @ self.read.keys.T) * batch.visible  # slots are the vocabulary here
        return (left @ weights) / (1 + batch.visible.to(left.dtype) @ (self.second_keys * weights))

    def _joined(self, read: Tensor, second: Tensor) -> Tensor:
        tokens = (self.to_tokens(read) + self.second_tokens(second)).view(-1, self.n_tokens, self.d_model)
        tokens = self.norm(self.blocks(tokens))
        return self.linear(read) + self.second_linear(second) + self.refine(tokens.flatten(1))


class CandidateObjective(GeneObjective):
    """Corrupts what the encoder reads, in training alone, and adds terms to the loss; predicted is
    the cell as it was measured.
    """

    def __init__(self, likelihood: str, statistics: CellStatistics, candidate: Candidate, seed: int) -> None:
        super().__init__(likelihood, statistics)
        self.candidate, self.seed, self.step, self.scale = candidate, seed, 0, torch.tensor(0.0)

    def score(self, network: GeneMaskedAutoencoder, batch: CellBatch, plan: MaskPlan) -> Score:
        """Score the network."""
        if not network.training:
            return super().score(network, batch, plan)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "candidate", self.step))
        self.step += 1
        tokens = batch.tokens()
        seen = self._some_genes(tokens.hide(plan), generator)
        latent = network.encode(self._corrupted(seen, generator))
        params = network.decode(latent, batch.context, seen, network.content.exposure(seen))
        score = self._score(params, batch, plan)
        further = latent.new_zeros(())
        if self.candidate.agreement:
            parts = (
                self._molecules(network, tokens, generator)
                if self.candidate.molecules
                else self._genes(network, latent, tokens, plan)
            )
            further = self.candidate.weight * self._disagreement(*parts)
        if self.candidate.visible:
            shown = self._score(params, batch, replace(plan, hidden=seen.visible.expand_as(plan.hidden)))
            further = further + self.candidate.visible * shown.nats.sum() / shown.weight.sum().clamp(min=1)
        return Score(score.nats + further * score.weight, score.weight)  # training divides by the weight

    def _some_genes(self, seen: TokenBatch, generator: torch.Generator) -> TokenBatch:
        share = self.candidate.panel ** torch.rand((), generator=generator)
        if self.candidate.panel == 1 or torch.rand((), generator=generator) < 0.5:
            return seen
        kept = torch.rand(seen.values.shape[1], generator=generator)[None] < share
        return replace(seen, values=seen.values * kept, visible=seen.visible & kept)

    def _corrupted(self, seen: TokenBatch, generator: torch.Generator) -> TokenBatch:
        values = seen.values
        if self.candidate.gain_sd:
            sd = self.candidate.gain_sd * torch.rand((), generator=generator)
            values = values * torch.exp(sd * torch.randn(values.shape[1], generator=generator))
        if self.candidate.thinning < 1:
            share = self.candidate.thinning ** torch.rand(len(values), 1, generator=generator)
            values = _thinned(values, share, generator)
        return replace(seen, values=values)

    def _genes(self, network: GeneMaskedAutoencoder, latent: Tensor, tokens: TokenBatch, plan: MaskPlan) -> tuple[Tensor, Tensor]:
        """Cells read from their visible genes and from their hidden ones, where both are a tenth at
        least.
        """
        rows = (plan.ratio > 0.1) & (plan.ratio < 0.9)
        hidden = tokens.visible & plan.hidden
        return latent[rows], network.encode(replace(tokens, values=tokens.values * hidden, visible=hidden))[rows]

    def _molecules(self, network: GeneMaskedAutoencoder, tokens: TokenBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Cells read from some of their molecules, a tenth to nine tenths, and from the others."""
        share = 0.1 + 0.8 * torch.rand(len(tokens.values), 1, generator=generator)
        some = _thinned(tokens.values, share, generator)
        return network.encode(replace(tokens, values=some)), network.encode(replace(tokens, values=tokens.values - some))

    def _disagreement(self, a: Tensor, b: Tensor) -> Tensor:
        if not self.scale:
            self.scale = a.detach().std(0).square().mean().sqrt() * 2**0.5  # the start fills half of the dimensions
        return _DISAGREEMENTS[self.candidate.agreement](a / self.scale, b / self.scale)


def _thinned(values: Tensor, share: Tensor, generator: torch.Generator) -> Tensor:
    """Molecules (B, L) of which each is kept with the chance of its row, (B, 1)."""
    return torch.binomial(values, share.expand_as(values).contiguous(), generator=generator)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return (1 - functional.cosine_similarity(a - a.mean(0), b - b.mean(0))).mean()


def _vicreg(a: Tensor, b: Tensor) -> Tensor:
    """Bardes et al. 2022, arXiv 2105.04906, over 25."""
    total = (a - b).square().mean()
    for part in (a - a.mean(0), b - b.mean(0)):
        covariance = part.T @ part / (len(part) - 1)
        spread = (covariance.diagonal() + 1e-4).sqrt()
        apart = covariance - torch.diag(covariance.diagonal())
        total = total + functional.relu(1 - spread).mean() / 2 + apart.square().sum() / part.shape[1] / 50
    return total


def _contrast(a: Tensor, b: Tensor) -> Tensor:
    """Cross-entropy of finding a cell among those of the minibatch, at a temperature of 0.2."""
    a, b = functional.normalize(a - a.mean(0), dim=1), functional.normalize(b - b.mean(0), dim=1)
    logits, own = a @ b.T / 0.2, torch.arange(len(a))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


_DISAGREEMENTS = {"cosine": _cosine, "vicreg": _vicreg, "contrast": _contrast}
