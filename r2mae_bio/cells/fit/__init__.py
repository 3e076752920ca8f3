"""What training on cells needs: batches, objective, statistics, start, fine-tuning."""

from __future__ import annotations
