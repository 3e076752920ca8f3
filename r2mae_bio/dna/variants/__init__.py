"""VCF files and tables of variants, read record by record and written whole."""

from __future__ import annotations
