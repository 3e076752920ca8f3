"""Which genes set groups of cells apart, as a model reads them."""

from __future__ import annotations
