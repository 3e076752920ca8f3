"""Views of labelled cells: which genes fine-tuning hides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.fit._views import hide_some
from r2mae_bio.io import GeneVocabulary, align_anndata, open_cells
from r2mae_bio.masking import Uniform

from ...toy_cells import make_cells


def test_training_hides_genes_by_the_law():
    cells = make_cells(150)
    aligned = align_anndata(GeneVocabulary.from_anndata(cells, np.ones(30)), cells)
    batch = CellTable(open_cells(cells, alignment=aligned), np.zeros((150, 0), np.float32)).batch(np.arange(150))
    dense, cpu = torch.from_numpy(cells.X.toarray()), torch.device("cpu")

    everything = hide_some(batch, Uniform(), derive_generator(0, "test"), device=cpu, full_share=1.0)
    assert torch.equal(everything.values, dense)
    assert everything.visible.all()

    n_full, shares = 0, []
    for step in range(20):
        tokens = hide_some(batch, Uniform(), derive_generator(step, "test"), device=cpu, full_share=0.25)
        assert torch.equal(tokens.values, torch.where(tokens.visible, dense, 0))
        full = tokens.visible.all(dim=1)
        n_full += int(full.sum())
        shares.append(tokens.visible[~full].float().mean(dim=1))
    assert n_full / 3000 == pytest.approx(0.25, abs=0.03)
    counts = np.histogram(torch.cat(shares), bins=np.linspace(0, 1, 6))[0]
    assert chisquare(counts).pvalue > 1e-3
