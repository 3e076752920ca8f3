"""Statistics of the training cells, against NumPy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from r2mae_bio.cells.fit._factors import sparse_expression
from r2mae_bio.cells.fit._statistics import scan_cells
from r2mae_bio.cells.network._content import GeneContent


@pytest.mark.parametrize(("transform", "of"), [("sqrt", np.sqrt), ("log", np.log1p)])
def test_statistics_are_those_of_the_training_cells(table, counts, transform, of):
    cells = np.arange(100, 700)
    found = scan_cells(table, cells, counts=True, transform=transform)
    chosen = counts[cells].astype(float)
    depth = chosen.sum(1)
    np.testing.assert_allclose(found.mean, chosen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, chosen.var(0), rtol=1e-4)
    np.testing.assert_allclose(found.network.share, chosen.sum(0) / chosen.sum(), rtol=1e-5)
    content = of(chosen * ((depth.mean() + 10) / (depth + 10))[:, None])
    np.testing.assert_allclose(found.network.mean, content.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.network.sd, np.maximum(content.std(0), 0.03), rtol=1e-3)
    assert scan_cells(table, cells, counts=True).fingerprint == found.fingerprint
    assert scan_cells(table, cells - 1, counts=True).fingerprint != found.fingerprint
    expression = sparse_expression(table, cells, GeneContent(found.network, transform=transform))
    np.testing.assert_allclose(expression.toarray(), content, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("counts_given", [True, False])
def test_moments_of_a_gene_are_taken_over_the_cells_that_measured_it(table, counts, counts_given):
    """Entries alone are looked at; what dense tokens say is the same."""
    codes = np.arange(700) % 2
    measured = np.stack([np.arange(25) < 20, np.arange(25) > 3])
    held = counts * measured[codes] / (1 if counts_given else 8)
    source = type(table.source)(held)
    source.panels, cells = SimpleNamespace(codes=codes, measured=measured), np.arange(50, 700)
    found = scan_cells(replace(table, source=source), cells, counts=counts_given)
    seen = np.where(measured[codes[cells]], held[cells], np.nan)
    np.testing.assert_allclose(found.mean, np.nanmean(seen, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, np.nanvar(seen, axis=0), rtol=1e-4)
    content = GeneContent(found.network, counts=counts_given)
    dense = []
    for _, batch in replace(table, source=source).batches(cells=cells):
        tokens = batch.tokens()
        dense.append(np.where(batch.measured, content.expression(tokens, content.exposure(tokens)).numpy(), np.nan))
    np.testing.assert_allclose(found.network.mean, np.nanmean(np.concatenate(dense), axis=0), rtol=1e-5)
    expected_sd = np.maximum(np.nanstd(np.concatenate(dense, dtype=float), axis=0), 0.03)
    np.testing.assert_allclose(found.network.sd, expected_sd, rtol=1e-4)
