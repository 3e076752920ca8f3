"""The reader of panels is the identity until it is trained, and where nothing is lacking."""

from __future__ import annotations

import torch

from r2mae_bio.cells.network._panel_reader import PanelReader


def test_it_begins_as_the_identity() -> None:
    latent, known = torch.randn(5, 6), torch.rand(1, 3)
    assert torch.equal(PanelReader(6, 3)(latent, known), latent)


def test_it_is_the_identity_where_nothing_is_lacking() -> None:
    reader = PanelReader(6, 3)
    with torch.no_grad():
        reader.layers[-1].weight.normal_()
        latent = torch.randn(5, 6)
        known = torch.ones(5, 3)
        known[2] = 0.5
        found = reader(latent, known)
    assert torch.equal(found[[0, 1, 3, 4]], latent[[0, 1, 3, 4]])
    assert (found[2] != latent[2]).all()


def test_weights_made_after_it_are_what_they_are_without_it() -> None:
    torch.manual_seed(0)
    without = torch.randn(3)
    torch.manual_seed(0)
    PanelReader(6, 3)
    assert torch.equal(torch.randn(3), without)
