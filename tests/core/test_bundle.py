"""Tensors that take the place of others, and plain data that make no network."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio._errors import CorruptCheckpointError
from r2mae_bio.core._bundle import load_weights, misfit, refused_if_misstated


class Scaled(torch.nn.Module):
    """Two weights, a number and a count."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("n", torch.tensor([3]))


def tensors(**changes):
    return {"weight": torch.tensor([1.0, 2.0]), "scale": torch.tensor(0.5), "n": torch.tensor([4]), **changes}


def test_all_tensors_are_put_in_place():
    network = Scaled()
    load_weights(network, tensors(weight=torch.tensor([1.0, 2.0], dtype=torch.float64)), "folder")
    assert network.weight.dtype == torch.float32
    assert (network.weight.tolist(), float(network.scale), network.n.tolist()) == ([1.0, 2.0], 0.5, [4])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scale": torch.tensor([0.5, 0.7])}, r"scale has the shape \(2,\); needed is \(\)"),  # torch itself takes the first
        ({"weight": torch.ones(3)}, r"weight has the shape \(3,\)"),
        ({"weight": torch.ones(2, dtype=torch.complex64)}, "weight is of torch.complex64"),  # torch drops a half of it
        ({"weight": torch.ones(2, dtype=torch.int64)}, "weight is of torch.int64"),
        ({"n": torch.tensor([4.0])}, "n is of torch.float32"),
        ({"weight": torch.tensor([1.0, float("nan")])}, "weight holds numbers that are not finite"),
        ({"scale": torch.tensor(float("inf"))}, "scale holds numbers that are not finite"),
        ({"more": torch.ones(1)}, r"missing \(none\) or unknown \(more\)"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(changes, problem):
    network = Scaled()
    with pytest.raises(CorruptCheckpointError, match=f"weights in folder do not fit the configuration.*{problem}"):
        load_weights(network, tensors(**changes), "folder")
    assert misfit(network.state_dict(), Scaled().state_dict()) == ""
    assert all(torch.equal(tensor, Scaled().state_dict()[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    "error", [KeyError("a"), IndexError("a"), TypeError("a"), AttributeError("a"), OverflowError("a"), RuntimeError("a")]
)
def test_whatever_plain_data_make_go_wrong_is_named_as_such(error):
    with (
        pytest.raises(CorruptCheckpointError, match="folder lacks or misstates part of a Line"),
        refused_if_misstated("folder", "Line"),
    ):
        raise error


def test_what_memory_does_not_hold_is_said_to_be_that():
    with (
        pytest.raises(CorruptCheckpointError, match="folder holds a Line larger than memory"),
        refused_if_misstated("folder", "Line"),
    ):
        raise MemoryError


def test_sizes_that_no_network_has_are_refused():
    with pytest.raises(CorruptCheckpointError, match="lacks or misstates"), refused_if_misstated("folder", "Line"):
        torch.nn.Linear(1, 10**30)
