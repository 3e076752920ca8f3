"""Networks of gene expression: tensors in, tensors out; no training loop, no random state."""

from __future__ import annotations
