"""FASTA files as a memory-mapped genome, and windows and loci of it."""

from __future__ import annotations
