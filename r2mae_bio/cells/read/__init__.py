"""Matrices and stores, gene identity, counts: cells by index, aligned to a vocabulary."""

from __future__ import annotations
