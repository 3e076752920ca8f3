"""What training on DNA needs: batches of windows, objective, controls, fine-tuning."""

from __future__ import annotations
