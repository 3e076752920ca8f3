"""Comparisons of methods over tasks, as tables, markdown and a page."""

from __future__ import annotations
