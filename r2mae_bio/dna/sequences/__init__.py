"""Sequences that stand alone, with or without labels, and plain features of them."""

from __future__ import annotations
