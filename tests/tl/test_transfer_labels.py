"""``tl.transfer_labels``: right labels, what must not change them, what is written and refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import roc_auc_score

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, DuplicateGenesError, GeneCoverageError, LogTransformedError, SetupError
from r2mae_bio.cells.transfer._label_transfer import STRENGTHS
from r2mae_bio.cells.transfer._shared_genes import embed_cells, open_shared, share_genes

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}


TYPES = np.array(["CD4+/CD25 T", "B", "NK"])


N_GENES = 30


def make_cells(n, seed):
    """Cells of three types, told apart with ease."""
    rng = np.random.default_rng(seed)
    profile = np.exp(np.random.default_rng(9).normal(0, 1.5, (3, N_GENES)))
    kind = np.arange(n) % 3
    counts = rng.poisson(rng.gamma(3, 1 / 3, (n, 1)) * 150 * (profile / profile.sum(1, keepdims=True))[kind]) + 1
    obs = pd.DataFrame({"type": TYPES[kind], "donor": np.arange(n) // 3 % 4}, index=[f"{seed}-{i}" for i in range(n)])
    return ad.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(N_GENES)])
    )


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return rb.tl.pretrain(make_cells(90, 0), model_kwargs=SIZES, max_epochs=2, progress_bar=False)


@pytest.fixture
def reference():
    return make_cells(90, 1)


@pytest.fixture
def query():
    return make_cells(60, 2)


def put(adata, key, values):
    adata.obs[key] = values


def transfer(query, reference, model, **options):
    return rb.tl.transfer_labels(query, reference, labels_key="type", model=model, copy=True, **options)


def transfer_alone(query, reference, model, **options):
    return transfer(query, reference, model, correct_query=False, match_depth=False, match_shares=False, **options)


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize(
    "values",
    [np.array([30, 4, 7]), np.array([True, False, True]), pd.array([30, 4, 7], "Int64"), np.array([0.5, 1.5, 9])],
    ids=["int", "bool", "Int64", "float"],
)
def test_labels_keep_the_type_of_the_reference(query, reference, model, tmp_path, values):
    for cells in (query, reference):
        cells.obs["label"] = values[np.arange(cells.n_obs) % 3]
    truth = query.obs["label"].tolist()
    rb.tl.transfer_labels(query, reference, labels_key="label", model=model)
    labels = query.obs["r2mae_label"]
    assert {type(value) for value in labels.tolist()} == {type(value) for value in truth}
    assert np.mean([a == b for a, b in zip(labels.tolist(), truth, strict=True)]) > 0.95
    query.write_h5ad(tmp_path / "query.h5ad")
    back = ad.read_h5ad(tmp_path / "query.h5ad")
    assert back.obs["r2mae_label"].tolist() == labels.tolist()
    classes = back.uns["r2mae"]["transfer_labels"]["r2mae_label"]["classes"]
    assert classes.tolist() == labels.cat.categories.tolist() == sorted(set(truth))
    strict = rb.tl.transfer_labels(query, reference, labels_key="label", model=model, unknown_threshold=0.5, copy=True)
    unlabelled = strict.obs["r2mae_label"].isna()
    np.testing.assert_array_equal(unlabelled, strict.obs["r2mae_label_unknown"] > 0.5)
    assert 0 < unlabelled.mean() < 1
    strict.write_h5ad(tmp_path / "strict.h5ad")


def test_a_class_that_means_no_label_is_named(query, reference, model):
    put(reference, "type", np.where(np.arange(90) < 9, "Unknown", reference.obs["type"]))
    with pytest.warns(UserWarning, match="has a class 'Unknown', which is learned like any other.*set it to missing"):
        transfer(query, reference, model)
    with pytest.raises(ConfigError, match="has a class 'Unknown', and unknown_threshold gives 'unknown'"):
        transfer(query, reference, model, unknown_threshold=0.9)


def test_labels_are_right_and_what_is_written_survives_h5ad(query, reference, model, tmp_path):
    before = reference.copy()
    assert rb.tl.transfer_labels(query, reference, labels_key="type", model=model.save(tmp_path / "model")) is None
    assert (query.obs["r2mae_label"].astype(str) == query.obs["type"]).mean() > 0.95
    assert list(query.obs["r2mae_label"].cat.categories) == sorted(TYPES)
    probabilities = query.obsm["r2mae_label_probabilities"]
    for values in (probabilities, query.obs["r2mae_label_confidence"], query.obs["r2mae_label_unknown"]):
        assert values.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(query.obs["r2mae_label_confidence"], probabilities.max(1))
    assert query.obs["r2mae_label_unknown"].between(0, 1, inclusive="left").all()
    assert reference.uns.keys() == before.uns.keys()
    pd.testing.assert_frame_equal(reference.obs, before.obs)

    query.write_h5ad(tmp_path / "query.h5ad")
    back = ad.read_h5ad(tmp_path / "query.h5ad")
    pd.testing.assert_frame_equal(back.obs, query.obs, check_categorical=False)
    np.testing.assert_array_equal(back.obsm["r2mae_label_probabilities"], probabilities)
    record = back.uns["r2mae"]["transfer_labels"]["r2mae_label"]
    assert list(record["classes"]) == sorted(TYPES)
    numbers = ("n_genes_shared", "n_genes_query", "n_genes_reference", "n_genes_model", "n_reference")
    assert [record[name] for name in numbers] == [N_GENES] * 4 + [90]
    assert record["accuracy_out_of_fold"] > 0.95
    assert record["strength"] in STRENGTHS
    assert record["labels_key"] == "type"
    assert record["checksum"] == model.checksum()
    assert "unknown_threshold" not in record


def test_a_copy_leaves_the_query_and_a_second_key_leaves_the_first(query, reference, model):
    first = transfer(query, reference, model)
    assert "r2mae_label" not in query.obs
    assert "r2mae" not in query.uns
    second = transfer(first, reference, model, key_added="again", seed=1)
    assert set(second.uns["r2mae"]["transfer_labels"]) == {"r2mae_label", "again"}
    assert second.uns["r2mae"]["transfer_labels"]["again"]["seed"] == 1
    np.testing.assert_array_equal(second.obsm["r2mae_label_probabilities"], first.obsm["r2mae_label_probabilities"])


# ---------------------------------------------------------------- what the query adds as a batch


def gained(adata, spread=1.0, seed=0):
    """The cells as a technology with other gains of genes would see them."""
    rng, counts = np.random.default_rng(seed), adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    gain = np.exp(spread * rng.standard_normal(adata.n_vars))
    changed = adata.copy()
    changed.X = rng.poisson(counts * gain).astype(np.float32)
    return changed


def test_gains_of_genes_are_taken_out_of_a_query(query, reference, model):
    changed = [gained(query, seed=seed) for seed in range(5)]
    corrected, alone = (
        np.mean([(f(q, reference, model).obs["r2mae_label"].astype(str) == q.obs["type"]).mean() for q in changed])
        for f in (transfer, transfer_alone)
    )
    assert corrected > alone + 0.02
    record = transfer(changed[0], reference, model).uns["r2mae"]["transfer_labels"]["r2mae_label"]
    assert record["query_corrected"] == 1


def test_batches_of_a_query_are_corrected_each_for_itself(query, reference, model):
    mixed = ad.concat({"a": gained(query, seed=1), "b": gained(query, seed=2)}, label="run", index_unique="-")
    found = transfer(mixed, reference, model, query_batch_key="run").obsm["r2mae_label_probabilities"]
    for name in ("a", "b"):
        rows = (mixed.obs["run"] == name).to_numpy()
        np.testing.assert_allclose(
            found[rows], transfer(mixed[rows].copy(), reference, model).obsm["r2mae_label_probabilities"], atol=1e-4
        )
    with pytest.raises(SetupError, match="donors"):
        transfer(mixed, reference, model, query_batch_key="donors")


# ---------------------------------------------------------------- shallow queries


def thinned(adata, share, seed=0):
    changed = adata.copy()
    changed.X = sparse.csr_matrix(np.random.default_rng(seed).binomial(adata.X.toarray().astype(int), share).astype(np.float32))
    return changed


def test_confidence_falls_with_depth(reference, model):
    deep = make_cells(600, 2)
    for share in (1, 0.1, 0.03):
        query = thinned(deep, share)
        query = query[np.asarray(query.X.sum(1)).ravel() > 0].copy()
        found = transfer(query, reference, model, correct_query=False)
        right = (found.obs["r2mae_label"].astype(str) == query.obs["type"]).mean()
        assert abs(found.obs["r2mae_label_confidence"].mean() - right) < 0.1
        assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["depth_matched"] == int(share < 1)
    alone = transfer_alone(query, reference, model)
    assert alone.obs["r2mae_label_confidence"].mean() > (alone.obs["r2mae_label"].astype(str) == query.obs["type"]).mean() + 0.1
    assert np.median(found.obs["r2mae_label_unknown"]) < 0.75 < np.median(alone.obs["r2mae_label_unknown"])


def mostly_one(n, seed):
    """Cells of a few counts, nine in ten of the first type."""
    query = thinned(make_cells(10 * n, seed), 0.03)
    counted = np.asarray(query.X.sum(1)).ravel() > 0
    kind = np.arange(query.n_obs) % 3
    return query[counted & ((kind == 0) | (np.arange(query.n_obs) % 18 == 1))].copy()


def test_doubtful_cells_go_to_the_classes_that_are_frequent_in_the_query(reference, model):
    query = mostly_one(300, 7)
    options = {"correct_query": False}
    right = []
    for match, own in ((False, 0), (True, 1)):
        found = transfer(query, reference, model, match_shares=match, **options)
        assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["batches_with_own_shares"] == own
        np.testing.assert_allclose(found.obsm["r2mae_label_probabilities"].sum(1), 1, rtol=1e-5)
        right.append((found.obs["r2mae_label"].astype(str) == query.obs["type"]).mean())
    assert right[1] > right[0] + 0.02


def test_a_query_of_the_same_composition_has_the_shares_of_the_reference(reference, model):
    query = thinned(make_cells(600, 2), 0.1)
    query = query[np.asarray(query.X.sum(1)).ravel() > 0].copy()
    asked, plain = (transfer(query, reference, model, correct_query=False, match_shares=match) for match in (True, False))
    assert asked.uns["r2mae"]["transfer_labels"]["r2mae_label"]["batches_with_own_shares"] == 0
    np.testing.assert_array_equal(asked.obsm["r2mae_label_probabilities"], plain.obsm["r2mae_label_probabilities"])


def test_each_batch_of_a_query_has_shares_of_its_own(reference, model):
    one, same = mostly_one(300, 7), thinned(make_cells(600, 2), 0.1)
    query = ad.concat({"one": one, "same": same[np.asarray(same.X.sum(1)).ravel() > 0]}, label="sample", index_unique="-")
    options = {"correct_query": False, "query_batch_key": "sample"}
    asked, plain = (transfer(query, reference, model, match_shares=match, **options) for match in (True, False))
    assert asked.uns["r2mae"]["transfer_labels"]["r2mae_label"]["batches_with_own_shares"] == 1
    changed = (asked.obsm["r2mae_label_probabilities"] != plain.obsm["r2mae_label_probabilities"]).any(1)
    assert set(query.obs["sample"][changed]) == {"one"}


def test_a_cell_without_counts_gets_the_shares_of_the_classes_and_says_so(query, reference, model):
    empty = query.X.toarray()
    empty[:2] = 0
    query.X = sparse.csr_matrix(empty)
    known = reference[10:].copy()
    with (
        pytest.warns(UserWarning, match="embedded all the same"),
        pytest.warns(UserWarning, match="2 of 60 query cells have no count in the 30"),
    ):
        found = transfer(query, known, model, unknown_threshold=0.99, correct_query=False)
    shares = known.obs["type"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(found.obsm["r2mae_label_probabilities"][:2], [shares, shares], rtol=1e-6)
    assert found.obs["r2mae_label_unknown"].isna().to_numpy().nonzero()[0].tolist() == [0, 1]
    assert (found.obs["r2mae_label"].iloc[:2] == "unknown").all()


# ---------------------------------------------------------------- what must not matter


def assert_same(found, expected, rows=slice(None)):
    expected = expected[rows]
    assert list(found.obs["r2mae_label"]) == list(expected.obs["r2mae_label"])
    np.testing.assert_allclose(found.obsm["r2mae_label_probabilities"], expected.obsm["r2mae_label_probabilities"], atol=1e-3)
    # a rank among 90 reference cells: rounding can move it by one place
    np.testing.assert_allclose(found.obs["r2mae_label_unknown"], expected.obs["r2mae_label_unknown"], atol=1.5 / 91)


def test_order_of_genes_and_cells_batch_size_and_foreign_genes_do_not_matter(query, reference, model):
    expected = transfer_alone(query, reference, model)
    rng = np.random.default_rng(0)
    rows = rng.permutation(query.n_obs)[:25]
    assert_same(transfer_alone(query[rows, rng.permutation(N_GENES)].copy(), reference, model, batch_size=7), expected, rows)
    foreign = ad.concat(
        [query, ad.AnnData(np.ones((60, 2), np.float32), query.obs, pd.DataFrame(index=["X", "Y"]))], axis=1, merge="same"
    )
    assert_same(transfer_alone(foreign, reference[:, rng.permutation(N_GENES)], model), expected)


def test_counts_of_genes_that_only_one_side_measured_do_not_matter(query, reference, model):
    panel = query[:, :12].copy()
    expected = transfer(panel, reference[:, :12].copy(), model)
    noisy = reference.copy()
    noisy.X = np.concatenate([noisy.X.toarray()[:, :12], np.random.default_rng(0).poisson(50, (90, 18))], 1).astype(np.float32)
    found = transfer(panel, noisy, model)
    assert_same(found, expected)
    record = found.uns["r2mae"]["transfer_labels"]["r2mae_label"]
    assert (record["n_genes_shared"], record["n_genes_query"], record["n_genes_reference"]) == (12, 12, 30)
    # and the other way round: the query measured more than the reference
    assert_same(transfer(query, reference[:, :12].copy(), model), expected)
    marked = query.copy()
    marked.var["measured"] = np.arange(N_GENES) < 12
    assert_same(transfer(marked, reference, model), expected)


def test_embeddings_are_those_of_data_that_hold_the_shared_genes_alone(query, reference, model, tmp_path):
    reference.layers["counts"], reference.X = reference.X.copy(), sparse.csr_matrix(reference.shape, dtype=np.float32)
    reference.write_h5ad(tmp_path / "reference.h5ad")
    backed = ad.read_h5ad(tmp_path / "reference.h5ad", backed="r")
    genes = share_genes(model.vocabulary, query[:, :20], backed)
    assert genes.n_shared == 20
    rows = np.array([3, 50, 7])
    expected = model.get_latent_representation(reference[:, :20].copy(), rows, layer="counts")
    for data in (reference, backed):
        found = embed_cells(model, open_shared(model, data, genes.reference, layer="counts", indices=rows), batch_size=2)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    backed.file.close()


def test_columns_of_one_gene(query, reference, model):
    expected = transfer(query, reference, model)
    halves = query.X.toarray()
    halves = np.concatenate([halves[:, :1] // 2, halves[:, 1:], halves[:, :1] - halves[:, :1] // 2], 1)
    doubled = ad.AnnData(halves, query.obs.copy(), pd.DataFrame(index=[*query.var_names, "G0.again"]))
    doubled.var["symbol"] = [*query.var_names, "G0"]
    doubled.var_names = [f"id{i}" for i in range(N_GENES + 1)]
    with pytest.raises(DuplicateGenesError, match="G0"):
        transfer(doubled, reference, model)
    assert_same(transfer(doubled, reference, model, duplicates="sum"), expected)


# ---------------------------------------------------------------- unknown types


@pytest.mark.filterwarnings("ignore:Not laid on the reference")  # which of two types the third is laid on is chance
def test_a_type_that_the_reference_lacks_is_flagged(query, reference, model):
    known = reference[reference.obs["type"] != "NK"].copy()
    free = transfer(query, known, model, correct_query=False)
    score, is_new = free.obs["r2mae_label_unknown"].to_numpy(), (query.obs["type"] == "NK").to_numpy()
    assert roc_auc_score(is_new, score) > 0.9
    assert list(free.obs["r2mae_label"].cat.categories) == ["B", "CD4+/CD25 T"]
    strict = transfer(query, known, model, unknown_threshold=0.8, correct_query=False)
    labels = strict.obs["r2mae_label"]
    assert list(labels.cat.categories) == ["B", "CD4+/CD25 T", "unknown"]
    np.testing.assert_array_equal(labels == "unknown", score > np.float32(0.8))
    np.testing.assert_array_equal(np.where(labels == "unknown", "unknown", free.obs["r2mae_label"]), labels)
    assert strict.uns["r2mae"]["transfer_labels"]["r2mae_label"]["unknown_threshold"] == 0.8
    np.testing.assert_array_equal(strict.obs["r2mae_label_confidence"], free.obs["r2mae_label_confidence"])


def test_cells_without_label_and_classes_of_one_cell_are_left_out(query, reference, model):
    expected = transfer(query, reference[5:].copy(), model, correct_query=False)
    reference.obs["type"] = reference.obs["type"].where(np.arange(90) >= 5)
    with pytest.warns(UserWarning, match=r"5 of 90 reference cells have no label in obs\['type'\]"):
        assert_same(transfer(query, reference, model, correct_query=False), expected)
    reference.obs["type"] = np.where(np.arange(90) < 5, "lonely", reference.obs["type"])
    reference.obs.loc[reference.obs_names[1:5], "type"] = np.nan
    single = "single reference cell are left out, since nothing can be validated on it: lonely"
    with pytest.warns(UserWarning, match=single), pytest.warns(UserWarning, match="4 of 90 reference cells have no label"):
        assert_same(transfer(query, reference, model, correct_query=False), expected)


def test_whole_groups_are_held_out(query, reference, model):
    found = transfer(query, reference, model, groups_key="donor")
    assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["groups_key"] == "donor"
    assert (found.obs["r2mae_label"].astype(str) == query.obs["type"]).mean() > 0.95


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (None, {"unknown_threshold": 1.5}, ConfigError, r"unknown_threshold is 1\.5"),
        (None, {"batch_size": 0}, ConfigError, "batch_size is 0"),
        (None, {"labels_key": "typo"}, SetupError, r"reference\.obs has no column 'typo'; it has type, donor"),
        (None, {"groups_key": "typo"}, SetupError, r"reference\.obs has no column 'typo'"),
        (None, {"layer": "typo"}, SetupError, "There is no layer 'typo'"),
        (None, {"reference_layer": "typo"}, SetupError, "There is no layer 'typo'"),
        (lambda q, r: put(r, "type", "B"), {}, DataError, "90 labelled cells of 1 classes"),
        (lambda q, r: put(r, "donor", 1), {"groups_key": "donor"}, DataError, "of the group '1'; at least two"),
        (lambda q, r: put(r, "donor", r.obs["type"]), {"groups_key": "donor"}, DataError, "one fold of groups alone"),
        (lambda q, r: put(r, "donor", np.nan), {"groups_key": "donor"}, DataError, "90 of 90 labelled"),
        (
            lambda q, r: put(r, "type", r.obs["type"].replace("B", "unknown")),
            {"unknown_threshold": 0.9},
            ConfigError,
            "has a class 'unknown'",
        ),
        (lambda q, r: setattr(q, "X", np.log1p(q.X.toarray())), {}, LogTransformedError, "log"),
        (lambda q, r: setattr(r, "X", np.log1p(r.X.toarray())), {}, LogTransformedError, "log"),
        (lambda q, r: setattr(q, "var_names", [f"X{i}" for i in range(N_GENES)]), {}, GeneCoverageError, "0 of the model's 30"),
    ],
)
def test_errors_leave_the_query_as_it_was(query, reference, model, change, options, error, message):
    if change is not None:
        change(query, reference)
    columns = list(query.obs)
    with pytest.raises(error, match=message):
        rb.tl.transfer_labels(query, reference, **{"labels_key": "type", "model": model, **options})
    assert list(query.obs) == columns
    assert not query.obsm
    assert "r2mae" not in query.uns


def test_too_few_genes_in_common(query, reference, model):
    with pytest.raises(
        GeneCoverageError, match=r"have 9 of the model's 30 genes in common .*measures 24 of them, the reference 15"
    ):
        transfer(query[:, :24].copy(), reference[:, 15:].copy(), model, min_coverage=0.4)
    found = transfer(query[:, :24].copy(), reference[:, 15:].copy(), model, min_coverage=0.3)
    assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["n_genes_shared"] == 9


# ---------------------------------------------------------------- batches


def test_batches_are_taken_out_where_the_model_knows_them():
    cells = rb.datasets.pbmc68k()
    cells.obs["lane"] = np.where(np.arange(cells.n_obs) % 2, "a", "b")
    reference, query = cells[:500].copy(), cells[500:].copy()
    query.obs["lane"] = "new"
    rb.model.GeneMAE.setup_anndata(reference, layer="counts", batch_key="lane")
    model = rb.model.GeneMAE(reference, n_latent=8, n_factors=4, d_model=16, n_heads=2, n_layers=1, n_hidden=16)
    model.initialize()
    options = {"labels_key": "bulk_labels", "model": model, "layer": "counts", "reference_layer": "counts"}
    before = rb.tl.transfer_labels(query, reference, **options, copy=True)
    model.map_query(query)
    after = rb.tl.transfer_labels(query, reference, **options, copy=True)
    records = [q.uns["r2mae"]["transfer_labels"]["r2mae_label"] for q in (before, after)]
    assert [r["batches_taken_out"] for r in records] == [0, 1]
    assert not np.array_equal(before.obsm["r2mae_label_probabilities"], after.obsm["r2mae_label_probabilities"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"seed": seed}, "seed is .*; needed is a whole number") for seed in ("a", 1.5, -1, None, True)]
    + [({"unknown_threshold": "a"}, "unknown_threshold is 'a'"), ({"min_coverage": "a"}, "min_coverage='a' is not a fraction")],
)
def test_settings_of_another_kind_are_refused(query, reference, model, settings, words):
    with pytest.raises(ConfigError, match=words):
        transfer(query, reference, model, **settings)


@pytest.mark.parametrize("kind", TYPES)
def test_a_query_of_one_type_is_not_laid_on_a_reference_of_few_cells(query, reference, model, kind):
    alone, few = query[query.obs["type"] == kind].copy(), reference[:80].copy()
    with pytest.warns(UserWarning, match="not corrected: the query .* to tell a batch from a cell type"):
        found = transfer(alone, few, model)
    assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["query_corrected"] == 0
    assert (found.obs["r2mae_label"].astype(str) == kind).mean() > 0.9


def test_a_batch_that_stays_is_told_as_one(query, reference, model):
    query.obs["run"] = [f"run {i}" for i in range(query.n_obs)]
    with pytest.warns(UserWarning, match="fewer than 10 cells are not corrected"):
        found = transfer(query, reference, model, query_batch_key="run")
    assert found.uns["r2mae"]["transfer_labels"]["r2mae_label"]["query_corrected"] == 0
    np.testing.assert_array_equal(
        found.obsm["r2mae_label_probabilities"],
        transfer(query, reference, model, correct_query=False).obsm["r2mae_label_probabilities"],
    )
