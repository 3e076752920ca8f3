"""Statistics of the training cells, against NumPy."""

from __future__ import annotations

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
