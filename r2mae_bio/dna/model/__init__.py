"""``DNAMAE`` and ``SequenceClassifier``: weights and settings; genomes in, arrays out."""

from __future__ import annotations
