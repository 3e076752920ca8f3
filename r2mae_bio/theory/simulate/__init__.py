"""Monte Carlo beside the formulas, and what leading subspaces recover."""

from __future__ import annotations
