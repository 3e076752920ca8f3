"""What methods are asked: panels, thin counts, held-out molecules, batches, sequences."""

from __future__ import annotations
