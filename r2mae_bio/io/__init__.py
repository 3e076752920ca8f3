"""Reading data: count checks, gene identity, cells by index, genomes, alignments, variants,
regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._lazy import lazily

if TYPE_CHECKING:
    from r2mae_bio.cells.read._align import GeneAlignment, align_anndata, align_genes
    from r2mae_bio.cells.read._cells import CellSource, CSRRows, open_cells
    from r2mae_bio.cells.read._check import CountReport, check_counts, check_finite
    from r2mae_bio.cells.read._coverage import MIN_COVERAGE, CoverageReport
    from r2mae_bio.cells.read._data import make_actual
    from r2mae_bio.cells.read._genes import GeneVocabulary, gene_aliases, measured_genes, strip_version
    from r2mae_bio.cells.read._matrix import describe_matrix, gene_totals, get_matrix, in_memory
    from r2mae_bio.cells.read._store import CellStore
    from r2mae_bio.cells.read._uns import check_key, write_record
    from r2mae_bio.dna.alignment._alignment import Alignment
    from r2mae_bio.dna.alignment._frequencies import ColumnFrequencies
    from r2mae_bio.dna.genome._bases import decode_bases, encode_bases, one_hot_encode, reverse_complement, soft_mask
    from r2mae_bio.dna.genome._contigs import Contig
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.genome._loci import extract_loci
    from r2mae_bio.dna.genome._reference import GenomeReference
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.regions._regions import read_regions
    from r2mae_bio.dna.regions._sampler import WindowSampler
    from r2mae_bio.dna.regions._shared_kmers import SharedKmers, shared_kmers
    from r2mae_bio.dna.regions._split import GenomeSplit, split_genome
    from r2mae_bio.dna.scoring._neutral import NeutralExpectation
    from r2mae_bio.dna.sequences._features import kmer_counts, positional_one_hot
    from r2mae_bio.dna.sequences._sequences import NamedSequences, is_fasta_path, read_sequences
    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable, encode_sequences, read_sequence_table
    from r2mae_bio.dna.variants._alleles import AlleleKind, MinimalChange, TrimmedAllele, allele_kind, minimal_change, trim_allele
    from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader
    from r2mae_bio.dna.variants._status import AlleleStatus, check_allele, classify_alleles
    from r2mae_bio.dna.variants._table import read_variants
    from r2mae_bio.dna.variants._vcf_header import InfoField, VcfHeader
    from r2mae_bio.dna.variants._vcf_write import VariantWriter

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "cells.read._align": "GeneAlignment align_anndata align_genes",
        "cells.read._cells": "CSRRows CellSource open_cells",
        "cells.read._check": "CountReport check_counts check_finite",
        "cells.read._coverage": "CoverageReport MIN_COVERAGE",
        "cells.read._data": "make_actual",
        "cells.read._genes": "GeneVocabulary gene_aliases measured_genes strip_version",
        "cells.read._matrix": "describe_matrix gene_totals get_matrix in_memory",
        "cells.read._store": "CellStore",
        "cells.read._uns": "check_key write_record",
        "dna.alignment._alignment": "Alignment",
        "dna.alignment._frequencies": "ColumnFrequencies",
        "dna.genome._bases": "decode_bases encode_bases one_hot_encode reverse_complement soft_mask",
        "dna.genome._contigs": "Contig",
        "dna.genome._genome": "Genome",
        "dna.genome._loci": "extract_loci",
        "dna.genome._reference": "GenomeReference",
        "dna.regions._intervals": "Intervals",
        "dna.regions._regions": "read_regions",
        "dna.regions._sampler": "WindowSampler",
        "dna.regions._shared_kmers": "SharedKmers shared_kmers",
        "dna.regions._split": "GenomeSplit split_genome",
        "dna.scoring._neutral": "NeutralExpectation",
        "dna.sequences._features": "kmer_counts positional_one_hot",
        "dna.sequences._sequences": "NamedSequences is_fasta_path read_sequences",
        "dna.sequences._table": "LabelledSequences SequenceTable encode_sequences read_sequence_table",
        "dna.variants._alleles": "AlleleKind MinimalChange TrimmedAllele allele_kind minimal_change trim_allele",
        "dna.variants._batch": "VariantBatch VariantReader",
        "dna.variants._status": "AlleleStatus check_allele classify_alleles",
        "dna.variants._table": "read_variants",
        "dna.variants._vcf_header": "InfoField VcfHeader",
        "dna.variants._vcf_write": "VariantWriter",
    },
)
