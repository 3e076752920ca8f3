"""DNA: genomes, regions, sequences and variants, read, learned from, scored. No AnnData."""

from __future__ import annotations
