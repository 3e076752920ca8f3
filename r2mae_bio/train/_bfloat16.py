"""Whether a processor multiplies matrices in bfloat16 by instructions of its own."""

from __future__ import annotations

import torch


def has_bfloat16(device_type: str) -> bool:
    """Emulated bfloat16 is slower than float32, so only a GPU that has it, and a CPU with AVX512-BF16 or AMX, count.

    Parameters
    ----------
    device_type
        ``"cuda"``, ``"cpu"`` or another, which is taken to have none.

    Returns
    -------
    Whether bfloat16 pays.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported()
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device_type == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in names)
