"""Which arithmetic a training run uses."""

from __future__ import annotations

import torch

from r2mae_bio._errors import ConfigError


def has_bfloat16(device_type: str) -> bool:
    """Emulated bfloat16 is slower than float32, so only a GPU that has it, and a CPU with
    AVX512-BF16 or AMX, count.

    Parameters
    ----------
    device_type
        ``"cuda"``, ``"cpu"`` or another, which is taken to have none.

    Returns
    -------
    Whether bfloat16 pays.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device_type == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in names)


def choose_precision(precision: str, accelerator: str) -> str:
    """A precision as Lightning names it.

    Parameters
    ----------
    precision
        Such a name, or ``"auto"``: bfloat16 for matrix products where the processor has
        instructions for it, and float32 elsewhere. Weights are always float32.
    accelerator
        Lightning's accelerator, ``"auto"`` included.

    Returns
    -------
    The name.

    Raises
    ------
    ConfigError
        Weights would be kept in another precision than float32.
    """
    if str(precision).endswith("-true") and precision != "32-true":
        message = (
            f"precision={precision!r} would change the weights themselves; needed is 'auto', '32-true', 'bf16-mixed' or '16-mixed', "
            "which keep them in float32."
        )
        raise ConfigError(message)
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if has_bfloat16("cuda") else "32-true"
    if accelerator in ("auto", "cpu"):
        return "bf16-mixed" if has_bfloat16("cpu") else "32-true"
    return "32-true"
