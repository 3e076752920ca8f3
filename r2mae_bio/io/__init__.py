"""Reading data: count checks, gene identity, cells by index, genomes, variants and regions."""

from __future__ import annotations

from r2mae_bio.io._align import MIN_COVERAGE, GeneAlignment, align_anndata, align_genes
from r2mae_bio.io._allele_status import AlleleStatus, check_allele, classify_alleles
from r2mae_bio.io._alleles import AlleleKind, MinimalChange, TrimmedAllele, allele_kind, minimal_change, trim_allele
from r2mae_bio.io._base_features import kmer_counts, positional_one_hot
from r2mae_bio.io._bases import decode_bases, encode_bases, one_hot_encode, reverse_complement, soft_mask
from r2mae_bio.io._cells import CellSource, CSRRows, open_cells
from r2mae_bio.io._check import CountReport, check_counts, check_finite
from r2mae_bio.io._contigs import Contig
from r2mae_bio.io._coverage import CoverageReport
from r2mae_bio.io._genes import GeneVocabulary, gene_aliases, measured_genes, strip_version
from r2mae_bio.io._genome import Genome
from r2mae_bio.io._genome_reference import GenomeReference
from r2mae_bio.io._genome_split import GenomeSplit, split_genome
from r2mae_bio.io._intervals import Intervals
from r2mae_bio.io._loci import extract_loci
from r2mae_bio.io._matrix import describe_matrix, gene_totals, get_matrix, in_memory
from r2mae_bio.io._regions import read_regions
from r2mae_bio.io._sequence_table import LabelledSequences, SequenceTable, encode_sequences, read_sequence_table
from r2mae_bio.io._sequences import NamedSequences, is_fasta_path, read_sequences
from r2mae_bio.io._shared_kmers import SharedKmers, shared_kmers
from r2mae_bio.io._uns import check_key, make_actual, write_record
from r2mae_bio.io._variant_batch import VariantBatch, VariantReader
from r2mae_bio.io._variants import read_variants
from r2mae_bio.io._vcf_header import InfoField, VcfHeader
from r2mae_bio.io._vcf_write import VariantWriter
from r2mae_bio.io._window_sampler import WindowSampler

__all__ = [
    "AlleleKind",
    "AlleleStatus",
    "CSRRows",
    "CellSource",
    "Contig",
    "CountReport",
    "CoverageReport",
    "GeneAlignment",
    "GeneVocabulary",
    "Genome",
    "GenomeReference",
    "GenomeSplit",
    "InfoField",
    "Intervals",
    "LabelledSequences",
    "MIN_COVERAGE",
    "MinimalChange",
    "NamedSequences",
    "SequenceTable",
    "SharedKmers",
    "TrimmedAllele",
    "VariantBatch",
    "VariantReader",
    "VariantWriter",
    "VcfHeader",
    "WindowSampler",
    "align_anndata",
    "align_genes",
    "allele_kind",
    "check_allele",
    "check_counts",
    "check_finite",
    "check_key",
    "classify_alleles",
    "decode_bases",
    "describe_matrix",
    "encode_bases",
    "encode_sequences",
    "extract_loci",
    "gene_aliases",
    "gene_totals",
    "get_matrix",
    "in_memory",
    "is_fasta_path",
    "kmer_counts",
    "make_actual",
    "measured_genes",
    "minimal_change",
    "one_hot_encode",
    "open_cells",
    "positional_one_hot",
    "read_regions",
    "read_sequence_table",
    "read_sequences",
    "read_variants",
    "reverse_complement",
    "shared_kmers",
    "soft_mask",
    "split_genome",
    "strip_version",
    "trim_allele",
    "write_record",
]
