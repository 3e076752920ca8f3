"""Counts of a few cells, as a table to train on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.io import CSRRows


class Source:
    def __init__(self, matrix):
        self.matrix, self.n_cells = sparse.csr_matrix(matrix, dtype=np.float32), matrix.shape[0]
        self.measured, self.panels = np.ones(matrix.shape[1], bool), None
        self.buffer = None

    def rows(self, index):
        r = self.matrix[index]
        return CSRRows(r.indptr.astype(np.int64), r.indices.astype(np.int64), r.data, r.shape[1])


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(1, 1, (700, 1)) * rng.gamma(1, 2, 25)) + (np.arange(25) == 3)


@pytest.fixture
def table(counts):
    return CellTable(Source(counts), np.zeros((len(counts), 0), np.float32))
