"""The transformer block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio._errors import ConfigError
from r2mae_bio.cells.network._block import TransformerBlock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def block() -> TransformerBlock:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TransformerBlock(8, 2, dropout=0.5).eval()


@pytest.mark.parametrize(("d_model", "n_heads"), [(8, 3), (6, 4), (2, 4)])
def test_heads_must_divide_the_width(d_model: int, n_heads: int) -> None:
    with pytest.raises(ConfigError, match=f"d_model={d_model} is not a multiple of n_heads={n_heads}"):
        TransformerBlock(d_model, n_heads)


def test_tokens_are_a_set_and_rows_do_not_meet(block: TransformerBlock) -> None:
    x = torch.randn(5, 7, 8, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    with torch.no_grad():
        out = block(x)
        assert out.shape == x.shape
        torch.testing.assert_close(block(x[:, order]), out[:, order], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(block(x[2:3]), out[2:3], atol=1e-5, rtol=1e-5)


def test_tokens_of_a_row_do_meet(block: TransformerBlock) -> None:
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    other[0, 3] += torch.randn(8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert ((block(x) - block(other))[0, :3].abs().amax(1) > 1e-4).all()


def test_dropout_acts_in_training_only(block: TransformerBlock) -> None:
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(block(x), block(x))
        block.train()
        assert not torch.equal(block(x), block(x))


def test_training_moves_every_parameter(block: TransformerBlock) -> None:
    x = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(1))
    F.mse_loss(block(x), torch.ones_like(x)).backward()
    for name, parameter in block.named_parameters():
        assert (parameter.grad != 0).any(), name


def test_attention_is_that_of_torch(block: TransformerBlock) -> None:
    oracle = nn.MultiheadAttention(8, 2, batch_first=True)
    oracle.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.attention_out.weight,
            "out_proj.bias": block.attention_out.bias,
        }
    )
    x = torch.randn(5, 7, 8, generator=torch.Generator().manual_seed(1))
    weight = torch.randn(5, 7, 8, generator=torch.Generator().manual_seed(2))

    def gradient(attend: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        tokens = x.clone().requires_grad_()
        (attend(tokens) * weight).sum().backward()
        return tokens.grad

    torch.testing.assert_close(block._attend(x), oracle(x, x, x)[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradient(block._attend), gradient(lambda t: oracle(t, t, t)[0]), atol=1e-6, rtol=1e-5)
