"""Whole-genome alignments in MAF as memory-mapped columns over a reference."""

from __future__ import annotations
