"""Windows with another base, against whole readings of the same."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.config import DNAConfig
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.dna.network._substitution import _LocalSubstitutions, _WholeSubstitutions, substitutions

LENGTH = 40
NETWORKS = {
    "one block attends": {"n_layers": 4, "attention_every": 4},
    "none attends": {"n_layers": 2},
    "several attend": {"n_layers": 5, "attention_every": 2},
    "all attend": {"n_layers": 3, "attention_every": 1, "dilations": (1,)},
    "the last attends": {"n_layers": 2, "attention_every": 2, "kernel": 5, "stem_kernel": 7},
    "single taps": {"n_layers": 3, "attention_every": 3, "kernel": 1, "stem_kernel": 1},
}


def make(**settings: object) -> DNAMaskedAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DNAMaskedAutoencoder(DNAConfig(**{"d_model": 32, **settings})).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False).mul_(1.5)
    return network


def questions() -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Windows with unknown bases, and bases at their ends, in the middle, hidden and replaced."""
    codes = torch.randint(0, 5, (6, LENGTH), generator=torch.Generator().manual_seed(1))
    asked = [(0, 0, 4), (0, 5, 4), (1, 20, 4), (3, LENGTH - 1, 4), (5, 20, 2), (5, 21, 1), (2, 20, 4), (4, 0, 3)]
    return codes, tuple(torch.tensor(column) for column in zip(*asked, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("which", [slice(None), slice(2, 3)], ids=["ends too", "far from the ends"])
@torch.inference_mode()
def test_only_what_differs_gives_what_a_whole_reading_gives(settings: dict[str, object], which: slice) -> None:
    network = make(**settings)
    codes, asked = questions()
    asked = tuple(values[which] for values in asked)  # type: ignore[assignment]
    found, expected = substitutions(network, LENGTH), _WholeSubstitutions(network)
    assert isinstance(found, _LocalSubstitutions)
    trace, plain = found.trace(codes), expected.trace(codes)
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(found.states(trace), expected.states(plain), **close)
    torch.testing.assert_close(found.states_with(trace, *asked), expected.states_with(plain, *asked), **close)
    logits = expected.logits_with(plain, *asked)
    torch.testing.assert_close(found.logits_with(trace, *asked), logits, **close)
    assert (logits - network(base_tokens(codes))[asked[0], asked[1]]).abs().max() > 0.01  # the base matters


def test_networks_with_other_parts_are_read_as_a_whole() -> None:
    assert isinstance(substitutions(make(n_layers=2, hiding="drop"), LENGTH), _WholeSubstitutions)
    extended = make(n_layers=2)
    extended.context = torch.nn.Linear(3, 32)
    assert isinstance(substitutions(extended, LENGTH), _WholeSubstitutions)
