"""Cells embedded by their non-zero entries, against the same cells made dense."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.cells.network._entries import Entries, EntryEmbedder

N_GENES = 24


def entries_of(values: torch.Tensor) -> Entries:
    rows, genes = values.nonzero(as_tuple=True)
    return Entries(rows, genes, values[rows, genes], values.shape[0])


@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
@pytest.mark.parametrize(("likelihood", "content"), [("nb", "sqrt"), ("nb", "log"), ("normal", "sqrt")])
@pytest.mark.parametrize("measured", [1.0, 0.5])
@torch.no_grad()
def test_embedding_is_that_of_dense_cells(make_network, make_batch, encoder, likelihood, content, measured) -> None:
    network = make_network(encoder, likelihood, content=content).eval()
    tokens, _, _ = make_batch(6, 3, measured=measured)
    seen = tokens.visible[0]
    values = tokens.values * seen
    values[2] = 0  # a cell without counts
    dense = type(tokens)(tokens.ids, values, seen[None], full=True)
    found = EntryEmbedder(network).of_panel(seen)(entries_of(values))
    torch.testing.assert_close(found, network.embed(dense), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_cells_without_any_entry(make_network, make_batch) -> None:
    network = make_network("transformer").eval()
    tokens = make_batch(2, 1)[0]
    seen = torch.ones(1, N_GENES, dtype=torch.bool)
    empty = type(tokens)(tokens.ids, torch.zeros_like(tokens.values), seen, full=True)
    found = EntryEmbedder(network).of_panel(seen[0])(entries_of(empty.values))
    torch.testing.assert_close(found, network.embed(empty), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
@torch.no_grad()
def test_sums_over_entries_do_not_depend_on_the_cells_beside(make_network, make_batch, encoder) -> None:
    network = make_network(encoder).eval()
    values = make_batch(9, 1)[0].values
    embedder = EntryEmbedder(network)
    embedder.encoder.after_table = lambda seen, units: lambda product: product  # the sums themselves
    embed = embedder.of_panel(torch.ones(N_GENES, dtype=torch.bool))
    alone = torch.cat([embed(entries_of(values[i : i + 1])) for i in range(9)])
    assert torch.equal(embed(entries_of(values)), alone)
