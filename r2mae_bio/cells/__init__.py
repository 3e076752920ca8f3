"""Cells: gene expression in AnnData, read, learned from and embedded. Knows AnnData, alone."""

from __future__ import annotations
