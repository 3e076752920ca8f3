"""Alignment by name: which pair of ids is used, what is refused, what the report says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, DataError, DuplicateGenesError, GeneCoverageError
from r2mae_bio.io import GeneVocabulary, align_genes

N = 200


SYMBOLS = tuple(f"Gene{i}" for i in range(N))


ENSEMBL = tuple(f"ENSMUSG{i:011d}" for i in range(N))


TOTALS = np.arange(N, dtype=np.float64)


VOCABULARY = GeneVocabulary(SYMBOLS, {"gene_ids": ENSEMBL}, TOTALS)


@given(st.permutations(range(30)), st.sets(st.integers(0, 29), min_size=1))
def test_alignment_follows_names_never_positions(order: list[int], kept: set[int]) -> None:
    vocabulary = GeneVocabulary(SYMBOLS[:30], {}, TOTALS[:30])
    columns = [i for i in order if i in kept]
    found = align_genes(vocabulary, [SYMBOLS[i] for i in columns] + ["novel"], min_coverage=0)
    assert found.column_to_gene.tolist() == [*columns, -1]
    assert set(np.flatnonzero(found.measured)) == kept
    assert found.report.matched + found.report.missing == found.report.n_model == 30
    assert found.report.matched + found.report.unknown + found.report.duplicated == found.report.n_query
    assert found.report.count_fraction == pytest.approx(sum(kept) / TOTALS[:30].sum())
    assert found.column_to_gene.dtype == np.int64
    assert found.measured.dtype == bool


def test_identity_is_recognised() -> None:
    assert align_genes(VOCABULARY, SYMBOLS).is_identity
    assert not align_genes(VOCABULARY, SYMBOLS[::-1]).is_identity
    assert not align_genes(VOCABULARY, SYMBOLS[:-1]).is_identity
    assert not align_genes(VOCABULARY, [*SYMBOLS, "novel"]).is_identity


@pytest.mark.parametrize(
    ("names", "aliases", "kind"),
    [
        pytest.param(SYMBOLS, {"gene_ids": ENSEMBL}, "var_names = var_names", id="tie-goes-to-var_names"),
        pytest.param(ENSEMBL, {}, "var_names = gene_ids", id="ensembl-query"),
        pytest.param([f"{e}.7" for e in ENSEMBL], {}, "var_names = gene_ids", id="versions"),
        pytest.param(range(N), {"symbol": SYMBOLS}, "symbol = var_names", id="symbols-in-a-column"),
        pytest.param([f"{s}-old" for s in SYMBOLS], {"x": ENSEMBL}, "x = gene_ids", id="alias-to-alias"),
        pytest.param([*SYMBOLS[:150], *"x" * 50], {"x": ENSEMBL}, "x = gene_ids", id="most-matches-win"),
    ],
)
def test_the_pair_of_ids_with_most_matches_is_used(names: list[str], aliases: dict[str, list[str]], kind: str) -> None:
    found = align_genes(VOCABULARY, [str(name) for name in names], query_aliases=aliases)
    assert found.report.id_kind == kind
    assert found.is_identity
    assert kind in str(found.report)


MIXED = [symbol if i % 4 else ENSEMBL[i] for i, symbol in enumerate(SYMBOLS)]


def test_a_name_of_another_kind_is_found_among_the_other_names() -> None:
    """An Ensembl id where a gene has no symbol, in the data set or in the model."""
    found = align_genes(VOCABULARY, MIXED)
    assert found.is_identity
    assert found.report.id_kind == "var_names = var_names"
    mixed = GeneVocabulary(tuple(MIXED), {}, np.ones(N))
    assert align_genes(mixed, SYMBOLS, query_aliases={"gene_ids": ENSEMBL}).is_identity
    assert align_genes(mixed, ENSEMBL, query_aliases={"symbol": SYMBOLS}).is_identity


def test_a_gene_that_is_taken_or_found_twice_is_left() -> None:
    names = [*MIXED, ENSEMBL[1], "novel"]  # the gene of the symbol that is there
    assert align_genes(VOCABULARY, names).column_to_gene.tolist() == [*range(N), -1, -1]
    twice = align_genes(VOCABULARY, [*SYMBOLS[1:], f"{ENSEMBL[0]}.1", f"{ENSEMBL[0]}.2"])
    assert twice.column_to_gene.tolist() == [*range(1, N), -1, -1]


def test_two_names_of_which_one_says_otherwise_are_not_matched_by_the_other() -> None:
    ids = ["ENSG99999999999", *ENSEMBL[1:]]
    found = align_genes(VOCABULARY, [f"old-{s}" for s in SYMBOLS], query_aliases={"gene_ids": ids, "symbol": SYMBOLS})
    assert found.report.id_kind == "symbol = var_names"
    by_ids = align_genes(VOCABULARY, ids, query_aliases={"symbol": [SYMBOLS[0], *[""] * (N - 1)]})
    assert by_ids.column_to_gene.tolist() == [-1, *range(1, N)]


def test_ambiguous_alias_matches_nothing() -> None:
    vocabulary = GeneVocabulary(ENSEMBL[:4], {"symbol": ("A", "A", "B", "")}, np.ones(4))
    found = align_genes(vocabulary, ["A", "B", ""])
    assert found.column_to_gene.tolist() == [-1, 2, -1]


def test_case() -> None:
    upper = [name.upper() for name in SYMBOLS]
    with pytest.raises(GeneCoverageError, match=r"Ignoring upper and lower case 200 names would match.*case_sensitive=False"):
        align_genes(VOCABULARY, upper)
    assert align_genes(VOCABULARY, upper, case_sensitive=False).is_identity


RARE = GeneVocabulary(SYMBOLS, {}, np.where(np.arange(N) < 30, 1.0, 600.0))
"""Thirty genes that hold little of the counts."""


OTHER_SPECIES = [f"ENSG{i:011d}" for i in range(N)]


@pytest.mark.parametrize(
    ("vocabulary", "query", "match"),
    [
        pytest.param(
            GeneVocabulary(SYMBOLS, {}, TOTALS),
            ENSEMBL,
            "uses gene symbols, the data set Ensembl ids.*named 'symbol'",
            id="ensembl",
        ),
        pytest.param(
            GeneVocabulary(ENSEMBL, {}, TOTALS),
            SYMBOLS,
            "uses Ensembl ids, the data set gene symbols.*named 'gene_ids'",
            id="symbols",
        ),
        pytest.param(GeneVocabulary(ENSEMBL, {}, TOTALS), OTHER_SPECIES, "different species", id="species"),
        pytest.param(VOCABULARY, [str(i) for i in range(N)], "names are numbers", id="numbers"),
        pytest.param(
            VOCABULARY,
            [f"hg19_{s}" for s in SYMBOLS],
            r"Without the prefix 'hg19_'.* 200 names agree.*removeprefix\('hg19_'\)",
            id="prefix",
        ),
        pytest.param(
            VOCABULARY, SYMBOLS[:19], r"19 of the model's 200 genes.*at least 20 genes \(10.00%\) and 0.10% of", id="too-few"
        ),
        pytest.param(
            RARE, SYMBOLS[:30], r"which hold 0.03% of its training counts.*20 genes.*and 0.10% of the counts", id="counts"
        ),
        pytest.param(VOCABULARY, ["x"] * 30, "have little in common.*made unique or prefixed", id="nothing"),
        pytest.param(VOCABULARY, [], r"0 of the model's 200 genes", id="none"),
    ],
)
def test_low_coverage_is_explained(vocabulary: GeneVocabulary, query: list[str], match: str) -> None:
    with pytest.raises(GeneCoverageError, match=match) as caught:
        align_genes(vocabulary, query)
    assert repr(vocabulary.names[0]) in str(caught.value)
    assert all(repr(name) in str(caught.value) for name in query[:5])


def test_min_coverage() -> None:
    assert align_genes(VOCABULARY, SYMBOLS[:1], min_coverage=0).report.matched == 1
    with pytest.raises(GeneCoverageError, match=r"at least 120 genes \(60.00%\).*100 of the 100.*Lower min_coverage"):
        align_genes(VOCABULARY, SYMBOLS[:100], min_coverage=0.6)
    with pytest.raises(GeneCoverageError, match="0 of"):
        align_genes(VOCABULARY, ["x"], min_coverage=0)
    with pytest.raises(ConfigError, match=r"min_coverage=5 is not a fraction"):
        align_genes(VOCABULARY, SYMBOLS, min_coverage=5)


def test_duplicates_are_refused_or_summed() -> None:
    query = [*SYMBOLS, SYMBOLS[3], SYMBOLS[3], SYMBOLS[5]]
    with pytest.raises(DuplicateGenesError, match=r"2 genes .*'Gene3' by 3 columns.*duplicates='sum'.*is no remedy"):
        align_genes(VOCABULARY, query)
    found = align_genes(VOCABULARY, query, duplicates="sum")
    assert found.column_to_gene[N:].tolist() == [3, 3, 5]
    assert found.report.duplicated == 3
    assert "3 columns repeat a gene" in str(found.report)
    with pytest.raises(ConfigError, match="pass 'error' or 'sum'"):
        align_genes(VOCABULARY, query, duplicates="first")


def test_versions_of_one_gene_are_duplicates() -> None:
    with pytest.raises(DuplicateGenesError, match=r"ENSMUSG00000000000\.2"):
        align_genes(VOCABULARY, [*ENSEMBL, f"{ENSEMBL[0]}.2"])


def test_unmeasured_columns_are_absent() -> None:
    measured = np.arange(N) % 2 == 0
    found = align_genes(VOCABULARY, SYMBOLS, query_measured=measured)
    np.testing.assert_array_equal(found.measured, measured)
    assert found.report.n_query == found.report.matched == N // 2
    assert found.report.unknown == 0
    doubled = align_genes(VOCABULARY, SYMBOLS * 2, query_measured=np.concatenate([measured, ~measured]))
    assert doubled.report.duplicated == 0
    assert doubled.measured.all()


def test_wrong_lengths() -> None:
    with pytest.raises(DataError, match=r"200 columns.*\{'symbol': 2\}"):
        align_genes(VOCABULARY, SYMBOLS, query_aliases={"symbol": ["a", "b"]})
    with pytest.raises(DataError, match=r"\{'measured': 3\}"):
        align_genes(VOCABULARY, SYMBOLS, query_measured=np.ones(3, bool))
