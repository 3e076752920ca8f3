"""Highly variable genes, as a panel and as a control."""

from __future__ import annotations

import numpy as np
from scipy import sparse

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


def test_a_panel_has_the_genes_asked_for_where_genes_are_level():
    genes = np.random.default_rng(0).negative_binomial(0.5, 0.05, (200, 40))
    twice = sparse.csr_array(np.repeat(genes, 2, axis=1))  # every gene and its equal beside it
    for n_genes in range(1, 12):
        chosen = np.flatnonzero(variable_panel(twice, n_genes))
        assert len(chosen) == n_genes  # scanpy alone takes both of a pair
        assert len(np.unique(chosen // 2)) == -(-n_genes // 2)
