"""Matrix products in single precision, by oneDNN where that is the faster library.

The library that torch takes by default uses the wide registers of Intel's processors alone; oneDNN
uses those of any x86 processor, is as exact, and on others takes half the time.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["Linear", "product"]

Activation: TypeAlias = Literal["none", "swish"]


class Linear(nn.Linear):
    """:class:`torch.nn.Linear`, by :func:`product`; it can be differentiated once."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        if not _serves(x, self.weight) or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        if not torch.is_grad_enabled():
            return product(x, self.weight, self.bias)
        result: Tensor = _Linear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result


class _Linear(torch.autograd.Function):
    """The products of a linear layer and of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(..., inputs), (outputs, inputs) and (outputs,) to (..., outputs)."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of the three."""
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, weight.shape[0])
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(grad, weight.T) if of_x else None,
            product(rows.T, x.reshape(-1, weight.shape[1]).T) if of_weight else None,
            rows.sum(0) if ctx.has_bias and of_bias else None,
        )


def product(
    x: Tensor, y: Tensor, bias: Tensor | None = None, *, activation: Activation = "none", added: Tensor | None = None
) -> Tensor:
    """The product x y', plus a bias where there is one; no gradient flows through it.

    What is done to the product besides is done while it is in the processor's cache.

    Parameters
    ----------
    x
        (..., K).
    y
        (N, K).
    bias
        (N,).
    activation
        ``"swish"`` to take x sigmoid(x) of the result.
    added
        What to add to that, (..., N).

    Returns
    -------
    (..., N).
    """
    onednn = _onednn() if _serves(x, y) else None
    result: Tensor
    if onednn is None:
        result = F.linear(x, y, bias)
        result = F.silu(result) if activation == "swish" else result
        return result if added is None else added + result
    if added is not None and activation == "none":
        result = onednn.binary(x, added, y, bias, "add")
        return result
    result = onednn(x, y, bias, activation, [], "")
    return result if added is None else added + result


def _serves(x: Tensor, y: Tensor) -> bool:
    """Whether the product is one that oneDNN is asked for."""
    single = x.dtype == y.dtype == torch.float32
    return single and x.device.type == y.device.type == "cpu" and x.numel() > 0 and _onednn() is not None


@cache
def _onednn() -> Any:
    """What torch compiles linear layers to, or None where nothing is to be gained by it or it is
    not at hand.
    """
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (wide and built and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return None
    return torch.ops.mkldnn._linear_pointwise
