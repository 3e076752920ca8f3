"""Which precision a run takes."""

from __future__ import annotations

import pytest

from r2mae_bio.core._precision import choose_precision


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_named_precision_is_taken(precision):
    assert choose_precision(precision, "auto") == precision


@pytest.mark.parametrize(
    ("cuda", "cuda_bf16", "cpu_bf16", "accelerator", "expected"),
    [
        (True, True, False, "auto", "bf16-mixed"),
        (True, True, False, "gpu", "bf16-mixed"),
        (True, False, True, "auto", "32-true"),
        (True, True, False, "cpu", "32-true"),
        (True, False, True, "cpu", "bf16-mixed"),
        (False, False, True, "auto", "bf16-mixed"),
        (False, False, False, "auto", "32-true"),
        (False, False, True, "mps", "32-true"),
    ],
)
def test_auto_is_bfloat16_where_the_hardware_has_it(monkeypatch, cuda, cuda_bf16, cpu_bf16, accelerator, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: cuda_bf16)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: cpu_bf16, raising=False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False, raising=False)
    assert choose_precision("auto", accelerator) == expected
