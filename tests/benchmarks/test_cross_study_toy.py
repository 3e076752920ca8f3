"""Pairs of reference and query, and every quick method on one of them, at toy size."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import r2mae_bio as rb
from benchmarks import cross_study, study_pairs
from benchmarks.study_pairs import Pair, Study, by, by_section, change_gains, load

N, N_GENES = 90, 80
CLASSES = np.array(["B", "NK", "T"])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two donors with three types each, of which the second also has one that the first lacks."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 3.0, (4, N_GENES)) + 0.02
    kinds = np.concatenate([np.arange(N) % 3, np.arange(N) % 3, np.full(12, 3)])
    matrix = sparse.csr_matrix(rng.poisson(rates[kinds]).astype(np.float32))
    labels = np.array([*CLASSES, "new"])[kinds]
    obs = pd.DataFrame(
        {"cell_type": labels, "donor": np.repeat(["one", "two"], [N, N + 12])}, index=[f"c{i}" for i in range(len(kinds))]
    )
    folder = tmp_path_factory.mktemp("data")
    (folder / "sc").mkdir()
    ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(N_GENES)])).write_h5ad(folder / "sc" / "toy.h5ad")
    return folder


@pytest.fixture(autouse=True)
def toy_pairs(monkeypatch):
    monkeypatch.setitem(study_pairs.STUDIES, "toy", Study("toy", by("donor")))
    pairs = {"across": {}, "shallow": {"depth": 0.3}, "changed": {"gain": 1.0}}
    for name, shift in pairs.items():
        monkeypatch.setitem(study_pairs.PAIRS, name, Pair("toy", "one", "two", **shift))


def test_sides_of_a_pair(data):
    pair, other = load("across", 0, data=data), load("across", 1, data=data)
    assert pair.reference.counts.shape[0] == round(0.9 * N)
    assert set(pair.query.labels) == set(CLASSES)  # the type that the reference lacks is left out
    assert pair.query.counts.shape == (N, len(pair.genes))
    assert set(pair.reference.batch) == {"one"}
    assert set(pair.query.batch) == {"across two"}
    assert pair.reference.counts.sum() != other.reference.counts.sum()
    assert (load("across", 0, data=data).reference.counts != pair.reference.counts).nnz == 0


def test_shifts_change_the_query_alone(data):
    plain, shallow, changed = (load(name, 0, data=data) for name in ("across", "shallow", "changed"))
    for shifted in (shallow, changed):
        assert (shifted.reference.counts != plain.reference.counts).nnz == 0
    assert shallow.query.counts.sum() == pytest.approx(0.3 * plain.query.counts.sum(), rel=0.05)
    assert ((plain.query.counts - shallow.query.counts).data >= 0).all()
    assert not study_pairs.PAIRS["across"].shifted
    assert study_pairs.PAIRS["shallow"].shifted
    assert study_pairs.PAIRS["changed"].shifted


def test_gains_are_log_normal_and_leave_depth_and_zeros():
    counts = sparse.csr_array(np.random.default_rng(0).poisson(30.0, (400, 300)).astype(np.float32))
    counts[:, 0] = 0
    counts.eliminate_zeros()
    changed = change_gains(counts, 0.5, seed=0)
    assert changed.sum() == pytest.approx(counts.sum(), rel=0.01)
    assert changed[:, [0]].nnz == 0
    ratio = np.log(changed.sum(axis=0)[1:] / counts.sum(axis=0)[1:])
    assert ratio.std() == pytest.approx(0.5, abs=0.05)
    assert (changed.data == np.floor(changed.data)).all()
    halves = np.log(changed[:200].sum(axis=0)[1:] / changed[200:].sum(axis=0)[1:])
    assert halves.std() < 0.05  # one gain per gene, the same in all cells


def test_sections_are_halved_by_their_number():
    cells = SimpleNamespace(obs=pd.DataFrame({"batch": ["m-1.010", "m-1.002", "m-1.100", "m-1.011"]}))
    assert list(by_section(cells, np.array([]))) == ["first", "first", "last", "last"]


@pytest.fixture
def benches(data):
    """Two pairs that share what is learned from their reference."""
    pairs = [load(name, 0, data=data) for name in ("changed", "across")]
    reference = cross_study.Reference(pairs[0].reference, pairs[0].genes, 0)
    return [cross_study.Workbench(pair, reference, 0) for pair in pairs]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_every_quick_method_finds_separable_types_and_pairs_do_not_disturb_each_other(benches, data, monkeypatch):
    pytest.importorskip("harmonypy", reason="the control is harmonypy's")
    monkeypatch.setattr(rb.tl, "pretrain", partial(rb.tl.pretrain, max_epochs=2))
    shared = {}
    for bench in benches:
        for name in cross_study.QUICK:
            shared[bench.name, name] = cross_study.measure(bench, name, 0)
    alone = load("across", 0, data=data)
    bench = cross_study.Workbench(alone, cross_study.Reference(alone.reference, alone.genes, 0), 0)
    for name in reversed(cross_study.QUICK):
        found = cross_study.measure(bench, name, 0)
        pd.testing.assert_frame_equal(found, shared["across", name])
        assert found["macro_f1"].item() > 0.9, name
        assert found["n_query"].item() == N


def test_report():
    rows = [
        {
            "set": pair,
            "seed": seed,
            "method": method,
            "shifted": pair == "c",
            "macro_f1": f1 + 0.01 * seed,
            "accuracy": f1,
            "ece": 0.1,
        }
        for pair, level in (("a", 0.5), ("b", 0.6), ("c", 0.2))
        for seed in (0, 1)
        for method, f1 in (
            (f"{cross_study.OURS}, kNN", level),
            (f"{cross_study.OURS}, fine-tuned", level - 0.1),
            ("PCA, kNN", level - 0.2),
        )
    ]
    text = cross_study.markdown(pd.DataFrame(rows))
    assert "3 pairs, 2 seeds" in text
    assert "| PCA, kNN | 0.238 | 0.233 | 0.100 | 0.355 | 0.005 |" in text
    assert f"Macro-F1 of {cross_study.OURS}, kNN, the best" in text
    assert "| PCA, kNN | +0.200 [+0.200, +0.200] | +0.200 [+0.200, +0.200] |" in text
