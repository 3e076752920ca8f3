"""Masks as numbers."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.masking._numbers import as_numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_numbers_are_those_of_torch_for_any_layout(dtype: torch.dtype) -> None:
    mask = torch.rand(6, 9, generator=torch.Generator().manual_seed(0)) < 0.5
    for view in (mask, mask.T, mask[:, ::2], mask[:1].expand(4, -1)):
        found = as_numbers(view, dtype)
        assert found.dtype == dtype
        assert torch.equal(found, view.to(dtype))


def test_numbers_may_be_written_to() -> None:
    mask = torch.ones(3, dtype=torch.bool)
    as_numbers(mask, torch.uint8).zero_()
    assert mask.all()
