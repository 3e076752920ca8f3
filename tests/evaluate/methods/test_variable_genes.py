"""Highly variable genes as a baseline."""

from __future__ import annotations

import numpy as np

from r2mae_bio.evaluate import (
    HighlyVariableGenes,
    log_normalize,
    variable_panel,
)


def test_highly_variable_genes_are_the_log_counts(counts):
    everything = np.ones(counts.shape[1], bool)
    chosen = variable_panel(counts, 10)
    fitted = HighlyVariableGenes(10).fit(counts, seed=0)
    assert np.allclose(fitted.embed(counts, everything), log_normalize(counts, everything).toarray()[:, chosen], atol=1e-5)
    hidden = everything.copy()
    hidden[np.flatnonzero(chosen)[0]] = False
    assert (fitted.embed(counts, hidden)[:, 0] == 0).all()
