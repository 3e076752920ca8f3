"""What a model says of variants and of every base of a region."""

from __future__ import annotations
