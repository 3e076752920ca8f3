"""From a spectrum to a curve of risk and a recommended law of the mask ratio."""

from __future__ import annotations
