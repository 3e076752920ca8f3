"""``GeneMAE`` and ``CellClassifier``: weights, vocabulary, settings; AnnData in, arrays out."""

from __future__ import annotations
