"""Reading data: count checks, gene identity, cells by index, and genomes."""

from __future__ import annotations

from r2mae_bio.io._align import MIN_COVERAGE, GeneAlignment, align_anndata, align_genes
from r2mae_bio.io._bases import decode_bases, encode_bases, one_hot_encode, reverse_complement, soft_mask
from r2mae_bio.io._cells import CellSource, CSRRows, open_cells
from r2mae_bio.io._check import CountReport, check_counts, check_finite
from r2mae_bio.io._contigs import Contig
from r2mae_bio.io._coverage import CoverageReport
from r2mae_bio.io._genes import GeneVocabulary, gene_aliases, measured_genes, strip_version
from r2mae_bio.io._genome import Genome
from r2mae_bio.io._loci import extract_loci
from r2mae_bio.io._matrix import describe_matrix, gene_totals, get_matrix

__all__ = [
    "CSRRows",
    "CellSource",
    "Contig",
    "CountReport",
    "CoverageReport",
    "GeneAlignment",
    "GeneVocabulary",
    "Genome",
    "MIN_COVERAGE",
    "align_anndata",
    "align_genes",
    "check_counts",
    "check_finite",
    "decode_bases",
    "describe_matrix",
    "encode_bases",
    "extract_loci",
    "gene_aliases",
    "gene_totals",
    "get_matrix",
    "measured_genes",
    "one_hot_encode",
    "open_cells",
    "reverse_complement",
    "soft_mask",
    "strip_version",
]
