"""Batch effects in latent space: what was added is found and taken off, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio.cells.fit import _batch_effects as module
from r2mae_bio.cells.fit._batch_effects import LEAST_OCCUPIED, _occupied, _shares, add_batches, fit_batch_effects

CENTRES = np.array([[6, 0, 0], [0, 6, 0], [0, 0, 6], [-6, -6, 0]], float)


def make_latent(n=600, *, share_b=(0.5, 0.5, 0.5, 0.5), seed=0):
    """Four clusters; cells of batch 1 are shifted, more so in the first cluster."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % 4
    batch = (rng.random(n) < np.array(share_b)[cluster]).astype(np.int64)
    clean = CENTRES[cluster] + rng.normal(0, 0.5, (n, 3))
    added = np.array([1.5, -1.0, 2.0]) + 0.8 * (cluster == 0)[:, None]
    return (clean + batch[:, None] * added).astype(np.float32), clean, batch, cluster


def corrected(effects, latent, batch):
    return effects(torch.from_numpy(latent), torch.from_numpy(batch)).numpy()


def gaps(z, batch, cluster):
    """Distance between the batches' means in each cluster."""
    rows = [(cluster == k) for k in range(4)]
    return np.array([np.linalg.norm(z[r & (batch == 0)].mean(0) - z[r & (batch == 1)].mean(0)) for r in rows])


def fit(latent, batch, n_batches=2):
    return fit_batch_effects(latent, batch, n_batches, np.random.default_rng(0))


def test_what_a_batch_adds_is_taken_off():
    latent, _, batch, cluster = make_latent()
    before, after = gaps(latent, batch, cluster), gaps(corrected(fit(latent, batch), latent, batch), batch, cluster)
    assert before.min() > 2.5
    assert after.max() < 0.35


def test_clusters_stay_apart():
    latent, clean, batch, cluster = make_latent()
    z = corrected(fit(latent, batch), latent, batch)
    between = np.linalg.norm(z[cluster == 0].mean(0) - z[cluster == 1].mean(0))
    assert between == pytest.approx(np.linalg.norm(clean[cluster == 0].mean(0) - clean[cluster == 1].mean(0)), rel=0.15)


def test_unequal_composition_is_no_batch_effect():
    # centring each batch would move clusters by what their shares differ
    latent, _, batch, cluster = make_latent(1200, share_b=(0.9, 0.1, 0.5, 0.5))
    z = corrected(fit(latent, batch), latent, batch)
    centred = latent - np.stack([latent[batch == b].mean(0) for b in (0, 1)])[batch]
    assert gaps(z, batch, cluster).max() < 0.5 * gaps(centred, batch, cluster).max()


def test_a_cluster_of_one_batch_alone_stays_apart():
    latent, _, batch, cluster = make_latent(1200, share_b=(0.5, 0.5, 0.5, 0.0))
    z = corrected(fit(latent, batch), latent, batch)
    means = np.stack([z[cluster == k].mean(0) for k in range(4)])
    distance = np.linalg.norm(means[3] - means[:3], axis=1)
    assert distance.min() > 4


def test_one_batch_is_left_as_it_is():
    latent, _, batch, _ = make_latent()
    effects = fit(latent, np.zeros_like(batch), 1)
    np.testing.assert_allclose(corrected(effects, latent, np.zeros_like(batch)), latent, atol=1e-5)


def test_a_cell_is_corrected_alone_as_among_others():
    latent, _, batch, _ = make_latent()
    effects = fit(latent, batch)
    alone = np.concatenate([corrected(effects, latent[i : i + 1], batch[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(alone, corrected(effects, latent, batch)[:50], atol=1e-5)


def test_a_new_batch_is_laid_on_the_reference():
    latent, _, batch, cluster = make_latent(900)
    rng = np.random.default_rng(1)
    new = (CENTRES[np.arange(200) % 4] + rng.normal(0, 0.5, (200, 3)) + [-2.0, 2.0, 1.0]).astype(np.float32)
    effects = fit(latent, batch)
    grown = add_batches(effects, new, np.zeros(200, np.int64), 1)
    z_new, z = corrected(grown, new, np.full(200, 2)), corrected(grown, latent, batch)
    for k in range(4):
        assert (
            np.linalg.norm(z_new[np.arange(200) % 4 == k].mean(0) - z[cluster == k].mean(0)) < 0.9
        )  # the reference itself is half a shift off in the first
    np.testing.assert_array_equal(z, corrected(effects, latent, batch))


def test_a_query_of_some_clusters_only_finds_its_place():
    latent, _, batch, cluster = make_latent(900)
    effects = fit(latent, batch)
    rng = np.random.default_rng(2)
    which = np.arange(100) % 2  # clusters 0 and 1 alone: the mean of the query is not that of the reference
    new = (CENTRES[which] + rng.normal(0, 0.5, (100, 3)) + [1.0, 1.0, 1.0]).astype(np.float32)
    z_new = corrected(add_batches(effects, new, np.zeros(100, np.int64), 1), new, np.full(100, 2))
    z = corrected(effects, latent, batch)
    for k in (0, 1):
        distance = [np.linalg.norm(z_new[which == k].mean(0) - z[cluster == j].mean(0)) for j in range(4)]
        assert int(np.argmin(distance)) == k
        assert distance[k] < 1


def test_a_query_of_one_cluster_is_not_moved_onto_another():
    latent, _, batch, cluster = make_latent(900)
    effects = fit(latent, batch)
    z = corrected(effects, latent, batch)
    for k in range(4):
        rng = np.random.default_rng(k)
        new = (CENTRES[k] + rng.normal(0, 0.5, (80, 3)) + [1.0, 1.0, 1.0]).astype(np.float32)
        z_new = corrected(add_batches(effects, new, np.zeros(80, np.int64), 1), new, np.full(80, 2))
        distance = [np.linalg.norm(z_new.mean(0) - z[cluster == j].mean(0)) for j in range(4)]
        assert int(np.argmin(distance)) == k


def test_a_batch_in_few_neighbourhoods_stays_where_it_is():
    corners = 6 * np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
    rng = np.random.default_rng(0)
    latent = (corners[np.arange(960) % 8] + rng.normal(0, 0.5, (960, 3))).astype(np.float32)
    effects = fit_batch_effects(latent, np.zeros(960, np.int64), 1, np.random.default_rng(0))
    for types, moved in ((1, False), (4, True)):  # 1 / 8 and 4 / 8 of the neighbourhoods
        new = (corners[np.arange(200) % types] + rng.normal(0, 0.5, (200, 3)) + [1.5, -1.0, 0.5]).astype(np.float32)
        z = corrected(add_batches(effects, new, np.zeros(200, np.int64), 1), new, np.ones(200, np.int64))
        assert bool(np.abs(z - new).max() > 0.5) == moved
        assert moved or np.abs(z - new).max() < 1e-5


@pytest.mark.parametrize("seed", [63, 175, 191, 336])
def test_a_correction_is_judged_by_what_it_does_to_cells_one_by_one(seed):
    """A query whose cells, shrunken and shifted, find their places together and lose them again
    where each is corrected by itself: they ended in one neighbourhood, far from all others.
    """
    rng = np.random.default_rng(seed)
    n_latent, n_clusters = int(rng.integers(3, 12)), int(rng.integers(5, 12))
    centres = rng.normal(0, 1, (n_clusters, n_latent)) * rng.gamma(2, 4, (n_clusters, 1))
    reference = (centres[np.arange(900) % n_clusters] + rng.normal(0, 0.7, (900, n_latent))).astype(np.float32)
    shift = rng.normal(0, 1, n_latent) * float(rng.choice([3, 6, 9]))
    shrunken = centres[np.arange(300) % n_clusters] * float(rng.choice([0.3, 0.5, 0.8]))
    query = (shrunken + rng.normal(0, 0.7, (300, n_latent)) + shift).astype(np.float32)
    effects = fit_batch_effects(reference, np.zeros(900, np.int64), 1, np.random.default_rng(0))
    grown = add_batches(effects, query, np.zeros(300, np.int64), 1)
    z = torch.from_numpy(corrected(grown, query, np.ones(300, np.int64))) - grown.centre
    assert not grown.offsets[1].any() or _occupied(_shares(z, effects.centroids)) >= LEAST_OCCUPIED


def test_fits_are_reproducible():
    latent, _, batch, _ = make_latent()
    one, two = fit(latent, batch).state_dict(), fit(latent, batch).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("seed", range(3))
def test_offsets_are_those_of_harmony(seed):
    """Two shifted copies of the same clusters: in each, both find the shift that was added."""
    harmonypy = pytest.importorskip("harmonypy", reason="harmonypy is the oracle here")
    latent, _, batch, cluster = make_latent(900, seed=seed)
    names = pd.DataFrame({"batch": batch.astype(str)})
    # the ridge of the paper; by default its strength grows with the cluster, and a sixth is left on
    theirs = harmonypy.run_harmony(latent.astype(float), names, "batch", lamb=1, random_state=seed, verbose=False)
    taken = [latent - z for z in (corrected(fit(latent, batch), latent, batch), theirs.Z_corr)]
    for k in range(4):
        one, other = (d[(cluster == k) & (batch == 1)].mean(0) - d[(cluster == k) & (batch == 0)].mean(0) for d in taken)
        added = np.array([1.5, -1.0, 2.0]) + 0.8 * (k == 0)
        assert one @ other > 0.99 * np.linalg.norm(one) * np.linalg.norm(other)
        assert np.linalg.norm(one - other) < 0.1 * np.linalg.norm(added)
        assert np.linalg.norm(other - added) < 0.15 * np.linalg.norm(added)
        assert np.linalg.norm(one - added) < 0.15 * np.linalg.norm(added)


def test_of_a_large_batch_some_cells_are_looked_at(monkeypatch):
    """Each would take a hundred memberships in double precision; more cells tell no more."""
    rng = np.random.default_rng(0)
    kinds = 5 * rng.standard_normal((4, 6))
    reference = (kinds[rng.integers(4, size=600)] + rng.standard_normal((600, 6))).astype(np.float32)
    query = (kinds[rng.integers(4, size=3000)] + 1 + rng.standard_normal((3000, 6))).astype(np.float32)
    effects = fit_batch_effects(reference, np.zeros(600, np.int64), 1, rng)
    of_all = add_batches(effects, query, np.zeros(3000, np.int64), 1)
    monkeypatch.setattr(module, "_MOST_CELLS", 1000)
    of_some = add_batches(effects, query, np.zeros(3000, np.int64), 1)
    again = add_batches(effects, query, np.zeros(3000, np.int64), 1)
    assert torch.equal(of_some.offsets, again.offsets)
    assert not torch.equal(of_some.shifts, of_all.shifts)
    torch.testing.assert_close(of_some.shifts, of_all.shifts, atol=0.2, rtol=0)
    assert of_all.shifts[1].mean() > 0.5
