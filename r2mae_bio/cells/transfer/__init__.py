"""From embedded reference cells to embedded query cells: labels, confidence, the unusual."""

from __future__ import annotations
