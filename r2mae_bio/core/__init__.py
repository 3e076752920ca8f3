"""The engine: training, resuming, saving. It knows rows and slots, not genes or bases."""

from __future__ import annotations
