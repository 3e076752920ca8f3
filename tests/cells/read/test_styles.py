"""Names that say less than they seem to: positions, repeats, prefixes, other species."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, GeneCoverageError, GeneIdentityError
from r2mae_bio.cells.read._coverage import CoverageFloor
from r2mae_bio.cells.read._styles import are_positions
from r2mae_bio.io import GeneVocabulary, align_genes

N = 60


SYMBOLS = tuple(f"GENE{i}" for i in range(N))


IDS = tuple(f"ENSG{i:011d}" for i in range(N))


VOCABULARY = GeneVocabulary(SYMBOLS, {}, np.ones(N))


def counted(n=N, first=0):
    return tuple(str(i) for i in range(first, first + n))


# ---------------------------------------------------------------- positions


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (counted(), True),
        (counted(first=1), True),
        (counted(first=2), False),
        (counted()[::-1], False),
        (("0",), False),
        (SYMBOLS, False),
        ((), False),
    ],
)
def test_names_that_only_count_the_columns(names, expected):
    assert are_positions(names) is expected


@given(st.permutations(range(N)))
def test_an_id_column_is_believed_before_names_that_count(order):
    vocabulary = GeneVocabulary(counted(), {"feature_id": IDS}, np.ones(N))
    found = align_genes(vocabulary, counted(), query_aliases={"feature_id": [IDS[i] for i in order]})
    assert found.column_to_gene.tolist() == list(order)
    assert found.report.id_kind == "feature_id = feature_id"


def test_names_that_count_are_used_where_there_is_nothing_else():
    vocabulary = GeneVocabulary(counted(), {}, np.ones(N))
    assert align_genes(vocabulary, counted()).is_identity


def test_names_and_ids_that_contradict_each_other_are_refused():
    vocabulary = GeneVocabulary(SYMBOLS, {"gene_ids": IDS}, np.ones(N))
    with pytest.raises(
        GeneIdentityError, match=r"60 columns that both .* match, 60 are different genes; column 0 is 'GENE0'.*GENE59"
    ):
        align_genes(vocabulary, SYMBOLS, query_aliases={"gene_ids": IDS[::-1]})
    some = [*IDS[:40], *IDS[:39:-1]]  # a third of the ids, such as those of retired genes
    assert align_genes(vocabulary, SYMBOLS, query_aliases={"gene_ids": some}).is_identity


# ---------------------------------------------------------------- repeats made unique


def test_repeats_that_were_made_unique_are_named_or_added_up():
    names = tuple(ad.utils.make_index_unique(pd.Index([*SYMBOLS, "GENE3", "GENE3"])))
    assert names[-2:] == ("GENE3-1", "GENE3-2")
    with pytest.warns(UserWarning, match=r"2 columns are named like further columns of a gene.*'GENE3-1'.*duplicates='sum'"):
        found = align_genes(VOCABULARY, names)
    assert found.column_to_gene[-2:].tolist() == [-1, -1]
    added = align_genes(VOCABULARY, names, duplicates="sum")
    assert added.column_to_gene[-2:].tolist() == [3, 3]
    assert added.report.duplicated == 2


def test_a_gene_whose_name_ends_in_a_number_is_itself():
    vocabulary = GeneVocabulary(("NKX2", "NKX2-1", "NKX2-5"), {}, np.ones(3))
    assert align_genes(vocabulary, ("NKX2-5", "NKX2", "NKX2-1"), duplicates="sum").column_to_gene.tolist() == [2, 0, 1]


# ---------------------------------------------------------------- other styles


def test_chance_matches_do_not_pass_for_a_match():
    names = [name.capitalize() for name in SYMBOLS]
    names[:2] = SYMBOLS[:2]
    with pytest.raises(
        GeneCoverageError, match=r"measures 2 of the model's 60.*at least 6 genes.*case 60 names would match.*orthologues"
    ):
        align_genes(VOCABULARY, names)
    names[:8] = SYMBOLS[:8]
    with pytest.warns(UserWarning, match=r"measures 8 of the model's 60 genes by their names\. Ignoring .* case 60 names"):
        assert align_genes(VOCABULARY, names).report.matched == 8
    assert align_genes(VOCABULARY, names, case_sensitive=False).is_identity


def test_the_prefix_of_an_assembly_is_named_also_where_two_species_were_aligned_together():
    both = [*(f"GRCh38_{name}" for name in SYMBOLS), *(f"mm10___{name.capitalize()}" for name in SYMBOLS[:20])]
    with pytest.raises(GeneCoverageError, match=r"Without the prefix 'GRCh38_', that of an assembly, 60 names agree"):
        align_genes(VOCABULARY, both)
    stripped = pd.Index(both).str.removeprefix("GRCh38_")
    assert align_genes(VOCABULARY, tuple(stripped)).column_to_gene[:N].tolist() == list(range(N))


# ---------------------------------------------------------------- the floor


@pytest.mark.parametrize(
    ("n_model", "matched", "counts", "passed"),
    [
        (20_000, 300, 0.05, True),
        (20_000, 199, 0.05, False),  # below 1% of the genes
        (1_000, 19, 0.05, False),
        (1_000, 20, 0.05, True),
        (30, 3, 0.05, True),  # a tenth of a small model
        (30, 2, 0.05, False),
        (20_000, 300, 0.0005, False),
        (20_000, 300, float("nan"), True),  # the training counts are not known
    ],
)
def test_the_floor_asks_for_genes_and_for_counts(n_model, matched, counts, passed):
    assert CoverageFloor.of(n_model, None).passed(matched, n_model, counts) is passed


def test_who_asks_for_a_share_gets_this_share():
    floor = CoverageFloor.of(1_000, 0.25)
    assert floor.passed(250, 1_000, 0.0)
    assert not floor.passed(249, 1_000, 1.0)
    assert CoverageFloor.of(1_000, 0).passed(1, 1_000, 0.0)
    with pytest.raises(ConfigError, match="pass a number from 0 to 1"):
        CoverageFloor.of(1_000, -0.1)


# ---------------------------------------------------------------- species

CLONES = tuple(f"{i:07d}A01RIK" for i in range(19))


@pytest.mark.parametrize("only", [(*CLONES, "GM1992"), tuple(f"LINC{i:05d}" for i in range(20))], ids=["mouse", "human"])
def test_symbols_that_one_species_alone_has_are_told(only):
    """Every other gene has its name: those of a mouse, in upper case, are human ones."""
    with pytest.warns(UserWarning, match=rf"20 names of the data set, such as {only[0]}, .* Map orthologues first"):
        assert align_genes(VOCABULARY, (*SYMBOLS, *only)).report.matched == N
    both = GeneVocabulary((*SYMBOLS, *only), {}, np.ones(N + 20))
    assert align_genes(both, (*SYMBOLS, *only)).is_identity  # a model of that species, or of both


def test_a_few_such_symbols_are_let_pass():
    assert align_genes(VOCABULARY, (*SYMBOLS, *CLONES)).report.matched == N
