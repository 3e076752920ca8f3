"""The masked autoencoder of gene expression: encode what is visible, predict the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from r2mae_bio.cells.network._content import Exposure, GeneContent, GeneStatistics
from r2mae_bio.cells.network._decoder import GeneDecoder
from r2mae_bio.cells.network._encoder import GeneTransformer, MLPEncoder
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, GeneParams

if TYPE_CHECKING:
    from r2mae_bio.cells.network._batch_effects import BatchEffects
    from r2mae_bio.config import GeneConfig
    from r2mae_bio.tokens import TokenBatch

_ENCODERS: dict[str, type[GeneTransformer] | type[MLPEncoder]] = {"transformer": GeneTransformer, "mlp": MLPEncoder}


class GeneMaskedAutoencoder(nn.Module):
    """Encoder and decoder of gene tokens.

    Both take a :class:`~r2mae_bio.tokens.TokenBatch` that holds visible content only, so a hidden
    count cannot reach a prediction.

    Parameters
    ----------
    statistics
        Statistics of the training cells, G genes.
    n_context
        Width C of the covariates.
    config
        Sizes and likelihood.
    """

    def __init__(self, statistics: GeneStatistics, n_context: int, config: GeneConfig) -> None:
        super().__init__()
        counts = config.gene_likelihood != "normal"
        self.likelihood = GENE_LIKELIHOODS[config.gene_likelihood]
        self.content = GeneContent(
            statistics,
            counts=counts,
            transform=config.content,
            depth_moments=config.depth_moments,
            panel_depth=config.panel_reader,
        )
        self.encoder: GeneTransformer | MLPEncoder = _ENCODERS[config.encoder](statistics.share.shape[0], config)
        self.decoder = GeneDecoder(self.content, n_context, config)
        self.batch_effects: BatchEffects | None = None  # fitted once the rest is trained

    def encode(self, visible: TokenBatch) -> Tensor:
        """Latent vectors of what is visible, (B, Z).

        Parameters
        ----------
        visible
            Visible tokens, from :meth:`TokenBatch.hide`, :meth:`TokenBatch.take`, or everything
            measured.
        """
        return self.encoder(self.content(visible), visible)

    def embed(self, visible: TokenBatch) -> Tensor:
        """Latent vectors as users get them, (B, Z), of equal spread whether few or all genes are
        visible.

        :meth:`encode` gives the best guess, which shrinks towards the average cell as genes are
        hidden; the decoder needs it so. A classifier or a neighbour search that learned from cells
        measured in full takes shrunken cells for average ones.

        Parameters
        ----------
        visible
            Everything measured.
        """
        return self.embed_content(self.content(visible), visible)

    def embed_content(self, content: Tensor, visible: TokenBatch) -> Tensor:
        """:meth:`embed` where the content of the visible tokens (B, L) is at hand."""
        return self.encoder.embed(content, visible, self.content.units())

    def decode(
        self,
        latent: Tensor,
        context: Tensor,
        visible: TokenBatch,
        exposure: Exposure | None = None,
        *,
        measured: Tensor | None = None,
    ) -> GeneParams:
        """Distribution of all G genes.

        Parameters
        ----------
        latent
            (B, Z).
        context
            Covariates, (B, C).
        visible
            The tokens that were encoded.
        exposure
            Totals to take the depth from; those of ``visible`` if None.
        measured
            Genes that were measured, those that are only hidden included, bool (1, G) or (B, G):
            the prior of the depth is then that of a panel, as predictions need it. If None it is
            that of the training, where all genes are measured.
        """
        exposure = self.content.exposure(visible) if exposure is None else exposure
        share = None if measured is None else self.content.measured_share(measured)
        return self.decoder(latent, context, visible, exposure, self.content.mean_depth, share)

    def forward(
        self, visible: TokenBatch, context: Tensor, exposure: Exposure | None = None, *, measured: Tensor | None = None
    ) -> GeneParams:
        """Encode and decode, see :meth:`decode`."""
        return self.decode(self.encode(visible), context, visible, exposure, measured=measured)
