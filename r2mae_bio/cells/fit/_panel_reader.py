"""Training the way from the embedding of a panel to that of the whole cell."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from r2mae_bio._progress import count_or_say
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.cells.network._encoder import GeneTransformer
from r2mae_bio.core._seeded import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.cells.network._panel_reader import PanelReader

__all__ = ["draw_panel", "fit_panel_reader", "whole_cells"]

logger = logging.getLogger("r2mae_bio")

_MOST_CELLS: Final = 2000
_MOST_PANELS: Final = 128
_MOST_STEPS: Final = 1500
_STEPS_PER_STEP: Final = 4
_FEWEST_GENES: Final = 5
_SMALLEST_PART: Final = 0.01
_LEANINGS: Final = (0.0, 0.0, 1.0, 2.0)
"""Powers of the standard deviation of a gene by which it is drawn into a panel, in turn: panels
lean to variable genes.
"""
_PANELS_AT_ONCE: Final = 16
_CELLS_OF_EACH: Final = 32
_SPREAD: Final = 1.0
"""Weight of the squared difference of the standard deviations of guesses and of whole cells.
Guesses of least error alone are drawn to the mean, the more the less is known.
"""


def whole_cells(table: CellTable, cells: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Some cells of which as many genes were measured as of any, in order.

    Parameters
    ----------
    table
        The cells.
    cells
        Positions of those to choose among.
    generator
        Draws them.
    """
    if table.source.panels is not None:
        n_measured = table.source.panels.measured.sum(1)[table.source.panels.codes[cells]]
        cells = cells[n_measured >= 0.9 * n_measured.max()]
    return np.sort(generator.permutation(cells)[:_MOST_CELLS])


def draw_panel(sd: NDArray[np.float64], leaning: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Genes of a random panel (G,): a hundredth to all of them, all orders of magnitude alike.

    Parameters
    ----------
    sd
        Standard deviation of each gene, positive (G,).
    leaning
        Genes are drawn with probabilities in proportion to this power of it, without replacement.
    generator
        Draws size and genes.
    """
    part = np.exp(generator.uniform(np.log(_SMALLEST_PART), 0))
    n = min(len(sd), max(_FEWEST_GENES, round(part * len(sd))))
    keys = leaning * np.log(sd) + generator.gumbel(size=len(sd))  # the largest are such a draw
    panel = np.zeros(len(sd), bool)
    panel[np.argsort(-keys)[:n]] = True
    return panel


@dataclass(frozen=True, eq=False)
class _Readings:
    """Cells, whole and read through panels."""

    whole: Tensor
    """(n_cells, Z)."""
    read: Tensor
    """Float16 (n_panels, n_cells, Z), which is precise enough to learn from."""
    known: Tensor
    """(n_panels, n_kinds, F): what a panel tells, of cells of which so much was measured."""
    kind: Tensor
    """Which of them a cell is, int64 (n_cells,)."""

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Some cells through each of some panels: read, known and whole, (p, c, ...)."""
        n_panels, n_cells = self.read.shape[:2]
        panels = torch.randint(n_panels, (_PANELS_AT_ONCE, 1), generator=generator)
        cells = torch.randint(n_cells, (_PANELS_AT_ONCE, _CELLS_OF_EACH), generator=generator)
        return self.read[panels, cells].float(), self.known[panels, self.kind[cells]], self.whole[cells]


def fit_panel_reader(
    network: GeneMaskedAutoencoder,
    batches: list[CellBatch],
    embedder: Callable[[], Callable[[CellBatch], Tensor]],
    *,
    n_steps: int,
    seed: int,
    shown: bool | None = False,
) -> bool:
    """Train the panel reader of a network, everything else left as it is.

    What is lost is the squared distance of its guess to the embedding of the whole cell, and the
    difference of their spread over the cells of a panel.

    Parameters
    ----------
    network
        Trained, with a transformer that has a panel reader, in evaluation mode; changed in place.
    batches
        Cells of one panel each, as whole as there are any, on the device of the network.
    embedder
        Makes a function by which the network embeds them; what it keeps of a panel goes with it.
    n_steps
        Optimiser steps that the network itself was trained for; the reader takes four times as
        many, up to 1500, and learns from as many panels, up to 128.
    seed
        Of panels, order and weights.
    shown
        Whether to say how far it is, see :func:`r2mae_bio._progress.count_or_say`.

    Returns
    -------
    Whether it came to its end. Ctrl-C leaves a reader that changes nothing, with a warning in the
    log: the network is worth having without.
    """
    encoder = network.encoder
    assert isinstance(encoder, GeneTransformer)
    assert encoder.panel_reader is not None
    encoder.panel_reader.forget()
    n_panels, n_steps = min(n_steps, _MOST_PANELS), min(_STEPS_PER_STEP * n_steps, _MOST_STEPS)
    if n_steps == 0 or sum(len(batch.context) for batch in batches) < 2:
        return True
    try:
        with count_or_say("learning to read panels of genes", n_panels + n_steps, shown=shown) as advance:
            readings = _read_panels(network, batches, embedder, _draw_panels(network, n_panels, seed), advance)
            _train(encoder.panel_reader, readings, n_steps, seed, advance)
    except KeyboardInterrupt:
        logger.warning(
            "interrupted while it learned to read panels of genes; the model reads them without what it learned of that"
        )
        return False
    return True


def _draw_panels(network: GeneMaskedAutoencoder, n_panels: int, seed: int) -> list[NDArray[np.bool_]]:
    generator, sd = derive_generator(seed, "panels"), network.content.sd.double().cpu().numpy()
    return [draw_panel(sd, _LEANINGS[i % len(_LEANINGS)], generator) for i in range(n_panels)]


def _read_panels(
    network: GeneMaskedAutoencoder,
    batches: list[CellBatch],
    embedder: Callable[[], Callable[[CellBatch], Tensor]],
    panels: list[NDArray[np.bool_]],
    advance: Callable[[int], None],
) -> _Readings:
    """Embed the cells whole and through each panel."""
    encoder = network.encoder
    assert isinstance(encoder, GeneTransformer)
    sizes, n_latent = [len(batch.context) for batch in batches], encoder.refine.out_features
    n_cells = sum(sizes)
    measured, kinds = np.unique([batch.measured[0].cpu().numpy() for batch in batches], axis=0, return_inverse=True)
    kind = torch.from_numpy(np.repeat(kinds.ravel(), sizes))
    # made here, as gradients do not go through what is made in inference mode
    whole, known = torch.empty(n_cells, n_latent), torch.empty(len(panels), len(measured), encoder.read.n_factors)
    read = torch.empty(len(panels), n_cells, n_latent, dtype=torch.float16)
    with torch.inference_mode():
        units = network.content.units()
        _embed_into(whole, batches, embedder())
        for number, panel in enumerate(panels):
            _embed_into(read[number], (_restricted(batch, panel) for batch in batches), embedder())
            for row, genes in enumerate(measured):
                known[number, row] = encoder.known(torch.from_numpy(panel & genes).to(network.content.share.device), units)
            advance(1)
    return _Readings(whole, read, known, kind)


def _embed_into(out: Tensor, batches: Iterable[CellBatch], embed: Callable[[CellBatch], Tensor]) -> None:
    """Embeddings of all batches, one after the other, (n_cells, Z)."""
    start = 0
    for batch in batches:
        stop = start + len(batch.context)
        out[start:stop] = embed(batch)
        start = stop


def _restricted(batch: CellBatch, panel: NDArray[np.bool_]) -> CellBatch:
    """The same cells measured on fewer genes (G,)."""
    seen = torch.from_numpy(panel).to(batch.measured.device)
    kept = seen[batch.genes]
    return replace(
        batch, rows=batch.rows[kept], genes=batch.genes[kept], values=batch.values[kept], measured=batch.measured & seen
    )


def _train(reader: PanelReader, readings: _Readings, n_steps: int, seed: int, advance: Callable[[int], None]) -> None:
    """AdamW at a rate that rises and falls; a reader that is interrupted is the identity again."""
    device, scatter = reader.scale.device, readings.whole.std(0)
    reader.centre.copy_(readings.whole.mean(0))
    reader.scale.copy_(scatter + 1e-3 * scatter.mean() + 1e-8)
    generator = torch.Generator().manual_seed(derive_seed(seed, "panel reader"))
    with seeded(derive_seed(seed, "panel reader layers")):
        reader.begin()
    reader.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=n_steps + 1)
    try:
        for _ in range(n_steps):
            optimizer.zero_grad()
            _loss(reader, *(part.to(device) for part in readings.draw(generator))).backward()
            optimizer.step()
            schedule.step()
            advance(1)
    except BaseException:
        reader.forget()
        raise
    finally:
        reader.requires_grad_(requires_grad=False)


def _loss(reader: PanelReader, read: Tensor, known: Tensor, whole: Tensor) -> Tensor:
    """Of cells through several panels, (p, c, ...)."""
    guess = reader(read.flatten(0, 1), known.flatten(0, 1)).view_as(whole)
    error, wide = (guess - whole).square().mean(), (_deviation(guess) - _deviation(whole)).square().mean()
    loss: Tensor = (error + _SPREAD * wide) / reader.scale.square().mean()
    return loss


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation over cells, (p, c, Z) to (p, Z); its slope is finite where they agree."""
    return (x.var(1) + 1e-8).sqrt()
