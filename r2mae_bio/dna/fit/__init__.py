"""What training on DNA needs: batches of windows, objective, floors, fine-tuning."""

from __future__ import annotations
