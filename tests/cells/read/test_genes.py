"""The vocabulary: names, aliases, round trips."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, DataError, DuplicateGenesError
from r2mae_bio.io import GeneVocabulary, gene_aliases, measured_genes, strip_version


def data(names: list[str], **columns: object) -> ad.AnnData:
    return ad.AnnData(np.ones((2, len(names)), np.float32), var=pd.DataFrame(columns, index=pd.Index(names, dtype=str)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ENSG00000123456.4", "ENSG00000123456"),
        ("ENSG00000123456", "ENSG00000123456"),
        ("ENSMUSG00000051951.12", "ENSMUSG00000051951"),
        ("ENSDARG00000000001.1", "ENSDARG00000000001"),
        ("ENSG00000002586.18_PAR_Y", "ENSG00000002586_PAR_Y"),
        ("RP11-34P13.7", "RP11-34P13.7"),
        ("AL669831.5", "AL669831.5"),
        ("FBgn0000003", "FBgn0000003"),
        ("WBGene00000001.2", "WBGene00000001.2"),
        ("Y74C9A.3", "Y74C9A.3"),
        ("", ""),
    ],
)
def test_only_ensembl_versions_are_stripped(name: str, expected: str) -> None:
    assert strip_version(name) == expected
    assert strip_version(expected) == expected


name_lists = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8, unique_by=strip_version)


@given(name_lists, st.data())
def test_json_round_trip_is_exact(names: list[str], draw: st.DataObject) -> None:
    floats = st.floats(0, 1e300, allow_subnormal=True)
    totals = np.array(draw.draw(st.lists(floats, min_size=len(names), max_size=len(names))))
    vocabulary = GeneVocabulary(tuple(names), {"symbol": tuple(f"s{i}" for i in range(len(names)))}, totals)
    again = GeneVocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.fingerprint() == vocabulary.fingerprint()
    assert len(again) == len(names)


def test_fingerprint_sees_order_and_boundaries_of_names() -> None:
    lists = [("ab", "c"), ("a", "bc"), ("c", "ab"), ("ab", "c", "d")]
    prints = {GeneVocabulary(names, {}, np.zeros(len(names))).fingerprint() for names in lists}
    assert len(prints) == len(lists)
    assert all(len(text) == 64 for text in prints)


def test_from_anndata_reads_known_columns() -> None:
    adata = data(["a", "b"], gene_ids=pd.Categorical(["E1", None]), feature_name=["x", "y"], other=[1, 2])
    vocabulary = GeneVocabulary.from_anndata(adata, np.array([3.0, 4.0]))
    assert vocabulary.names == ("a", "b")
    assert vocabulary.aliases == {"gene_ids": ("E1", ""), "feature_name": ("x", "y")}
    assert vocabulary != GeneVocabulary.from_anndata(adata, np.array([3.0, 5.0]))
    assert vocabulary != "a"
    assert repr(vocabulary) == "GeneVocabulary(2 genes: a, b; aliases: ['feature_name', 'gene_ids'])"


def test_totals_are_a_read_only_copy() -> None:
    totals = np.ones(1)
    vocabulary = GeneVocabulary(("a",), {}, totals)
    totals[0] = 5
    assert vocabulary.totals[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.totals[0] = 2


@pytest.mark.filterwarnings("ignore:Variable names are not unique:UserWarning")  # that is the point
@pytest.mark.parametrize("names", [["b", "a", "b", "c"], ["ENSG00000000002.1", "a", "ENSG00000000002.2", "c"]])
def test_duplicates_in_training_data(names: list[str]) -> None:
    adata = data(names, symbol=["B", "A", "B2", "C"])
    with pytest.raises(DuplicateGenesError, match=r"1 gene names .*duplicates='sum'.*make_unique\(\) does not help"):
        GeneVocabulary.from_anndata(adata, np.arange(4.0))
    summed = GeneVocabulary.from_anndata(adata, np.arange(4.0), duplicates="sum")
    assert summed.names == (names[0], "a", "c")
    assert summed.aliases["symbol"] == ("B", "A", "C")
    np.testing.assert_array_equal(summed.totals, [2, 1, 3])


def test_bad_vocabularies() -> None:
    with pytest.raises(DataError, match=r"2 genes got columns of other lengths: \{'totals': 3\}"):
        GeneVocabulary(("a", "b"), {}, np.zeros(3))
    with pytest.raises(DataError, match=r"\{'symbol': 1\}"):
        GeneVocabulary(("a", "b"), {"symbol": ("x",)}, np.zeros(2))
    with pytest.raises(DataError, match="0 genes"):
        GeneVocabulary((), {}, np.zeros(0))
    with pytest.raises(DataError, match="finite and not negative"):
        GeneVocabulary(("a",), {}, np.array([np.nan]))
    with pytest.raises(DataError, match=r"lacks \['aliases', 'totals'\]"):
        GeneVocabulary.from_json({"names": ["a"]})
    with pytest.raises(ConfigError, match=r"duplicates='mean' is not known; pass 'error' or 'sum'"):
        GeneVocabulary.from_anndata(data(["a"]), np.zeros(1), duplicates="mean")


def test_measured_column() -> None:
    assert measured_genes(data(["a"]).var) is None
    np.testing.assert_array_equal(measured_genes(data(["a", "b"], measured=[True, False]).var), [True, False])
    with pytest.raises(DataError, match=r"var\['measured'\] has dtype int64.*astype\(bool\)"):
        measured_genes(data(["a"], measured=[1]).var)
    with pytest.raises(DataError, match="without missing values"):
        measured_genes(data(["a", "b"], measured=pd.array([True, None], dtype="boolean")).var)


def test_aliases_are_text() -> None:
    assert gene_aliases(data(["a", "b"], gene_id=[7, 8], symbol=["x", np.nan]).var) == {
        "gene_id": ("7", "8"),
        "symbol": ("x", ""),
    }
