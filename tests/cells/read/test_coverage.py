"""The report of an alignment: how it reads, and that it survives a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest

from r2mae_bio.io import CoverageReport, GeneVocabulary, align_genes

if TYPE_CHECKING:
    from pathlib import Path


N = 200


SYMBOLS = tuple(f"Gene{i}" for i in range(N))


ENSEMBL = tuple(f"ENSMUSG{i:011d}" for i in range(N))


TOTALS = np.arange(N, dtype=np.float64)


VOCABULARY = GeneVocabulary(SYMBOLS, {"gene_ids": ENSEMBL}, TOTALS)


@pytest.mark.parametrize("query", [SYMBOLS, [*SYMBOLS[:50], "novel", "other"]])
def test_report_survives_h5ad(query: list[str], tmp_path: Path) -> None:
    report = align_genes(VOCABULARY, query).report
    ad.AnnData(np.ones((1, 1), np.float32), uns={"coverage": report.to_uns()}).write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad").uns["coverage"]
    rebuilt = CoverageReport(**{key: tuple(v.tolist()) if isinstance(v, np.ndarray) else v for key, v in again.items()})
    assert rebuilt == report


def test_report_reads_well() -> None:
    report = align_genes(VOCABULARY, [*SYMBOLS[:50], "novel"]).report
    lines = str(report).splitlines()
    assert 3 <= len(lines) <= 5
    assert lines[0].startswith("50 of 200 model genes measured (25.0%; share of training counts: 6.2%)")
    assert report.missing_examples[0] == "Gene199", "genes with most training counts come first"
    assert "novel" in lines[2]
    unknown = align_genes(GeneVocabulary(SYMBOLS, {}, np.zeros(N)), SYMBOLS).report
    assert math.isnan(unknown.count_fraction)
    assert "unknown" in str(unknown)
