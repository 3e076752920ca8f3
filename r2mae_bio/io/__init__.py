"""Reading data: count checks, gene identity and cells by index."""

from __future__ import annotations

from r2mae_bio.io._align import MIN_COVERAGE, GeneAlignment, align_anndata, align_genes
from r2mae_bio.io._cells import CellSource, CSRRows, open_cells
from r2mae_bio.io._check import CountReport, check_counts, check_finite
from r2mae_bio.io._coverage import CoverageReport
from r2mae_bio.io._genes import GeneVocabulary, gene_aliases, measured_genes, strip_version
from r2mae_bio.io._matrix import describe_matrix, gene_totals, get_matrix, in_memory

__all__ = [
    "CSRRows",
    "CellSource",
    "CountReport",
    "CoverageReport",
    "GeneAlignment",
    "GeneVocabulary",
    "MIN_COVERAGE",
    "align_anndata",
    "align_genes",
    "check_counts",
    "check_finite",
    "describe_matrix",
    "gene_aliases",
    "gene_totals",
    "get_matrix",
    "in_memory",
    "measured_genes",
    "open_cells",
    "strip_version",
]
