"""The comparison of theory and networks: its parts against brute force, and a toy run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks import theory_networks
from benchmarks.networks import gene_mae, linear, network
from benchmarks.networks.data import Data, pbmc68k
from benchmarks.networks.masks import SETTINGS, DrawnLaw, draw_hidden, hidden_error, rescaled, test_masks
from benchmarks.networks.predict import VARIANTS, predictions
from benchmarks.networks.report import TABLES, TITLE
from benchmarks.networks.summary import NAMES, compare, direction
from r2mae_bio.masking import Uniform

test_masks.__test__ = False


def gaussian(d: int = 60, n_rows: int = 1400, seed: int = 0) -> Data:
    """Rows of a factor model; the theory is about such."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0, 1, (d, 6))
    rows = rng.normal(0, 1, (n_rows, 6)) @ loadings.T + rng.normal(0, 1.5, (n_rows, d))
    values = torch.from_numpy(((rows - rows.mean(0)) / rows.std(0)).astype(np.float32))
    order = np.arange(n_rows)
    return Data("gaussian", values, order[:400], order[400:500], order[500:], (60, 400), masks=test_masks(400, d))


@pytest.fixture(scope="module")
def rows_of_factors() -> Data:
    return gaussian()


# ---------------------------------------------------------------- parts


def test_masks_are_shared_and_hide_what_they_say():
    again, masks = test_masks(50, 40), test_masks(50, 40)
    for name, share in (("full", 0.1), ("panel", 0.9)):
        assert torch.equal(again[name], masks[name])
        assert masks[name].float().mean(-1) == pytest.approx(share)


def test_error_counts_hidden_entries_only_and_each_feature_alike():
    values = torch.zeros(1, 3, 2)
    predicted = torch.tensor([[[1.0, 9.0], [1.0, 2.0], [9.0, 9.0]]])
    hidden = torch.tensor([[[True, False], [True, True], [False, False]]])
    assert hidden_error(predicted, values, hidden) == pytest.approx((1.0 + 4.0) / 2)


def test_rescaling_is_unbiased():
    values = torch.ones(4000, 20)
    seen = rescaled(values, draw_hidden(Uniform(0.1, 0.9), 4000, 20, np.random.default_rng(0)))
    assert seen.mean(0).numpy() == pytest.approx(np.ones(20), abs=0.1)


def test_ridge_of_a_law_is_that_of_its_masks():
    """Off the diagonal rescaled masks change nothing on average; on it they add E[p p/q] / E[p] of
    rows where the target is hidden.
    """
    law, d = Uniform(0.2, 0.8), 30
    hidden = draw_hidden(law, 60_000, d, np.random.default_rng(1))
    seen = rescaled(torch.ones(60_000, d), hidden)[hidden[:, 0], 1]
    assert float((seen**2).mean()) - 1 == pytest.approx(DrawnLaw(law, d).dropout_ridge(), rel=0.05)


def test_fresh_masks_are_the_limit_of_many_masks(rows_of_factors):
    data, law = rows_of_factors, SETTINGS["0.5"]
    rows = data.training_rows(100, 0)
    limit = linear.fresh_masks(data, rows, law)[:, :4]
    distances = [
        np.linalg.norm(linear.one_mask(data, np.repeat(rows, k), law, 0, features=[0, 1, 2, 3]) - limit) / np.linalg.norm(limit)
        for k in (10, 160)
    ]
    assert distances[1] < 0.35
    assert distances[1] < distances[0] / 2.5  # as one over the root of the number of masks


def test_least_squares_is_the_pseudoinverse(rows_of_factors):
    data, law = rows_of_factors, SETTINGS["0.25"]
    for n in (60, 400):
        rows = data.training_rows(n, 1)
        hidden = draw_hidden(law, n, data.n_features, linear.derive_generator(1, "one-mask")).numpy()
        seen = rescaled(data.values[rows], torch.from_numpy(hidden)).double().numpy()
        with_zeros = hidden[:, 7]
        # feature 7 is a column of zeros, whose singular value is not quite 0 in every LAPACK
        targets = data.values[rows].double().numpy()[with_zeros, 7]
        expected = np.linalg.lstsq(seen[with_zeros], targets, rcond=1e-10)[0]
        assert linear.one_mask(data, rows, law, 1, features=[7])[:, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("learner", ["mlp", "cnn"])
def test_networks_see_no_hidden_content(learner):
    data = gaussian(d=20, n_rows=600)
    data = Data(**{**vars(data), "pixels": np.arange(5, 25)})
    net = network.NETWORKS[learner](data, 8)
    hidden = draw_hidden(SETTINGS["0.5"], 30, 20, np.random.default_rng(0))
    values = data.values[:30]
    changed = torch.where(hidden, values + 5, values)
    assert torch.equal(net(values, hidden), net(changed, hidden))
    assert not torch.equal(net(values, hidden), net(torch.where(hidden, values, values + 5), hidden))


# -------------------------------- theory against the learners that it describes


def test_theory_predicts_the_linear_learners_on_gaussian_rows(rows_of_factors):
    """Away from the peak; with the covariance of many rows, so that only the theory is at stake.
    Means over three training sets.

    The theory hides entries independently, the experiment an exact number of them, which spares
    some variance where six are visible.
    """
    data, features = rows_of_factors, list(range(0, 60, 2))
    tolerance = {"full": 0.06, "panel": 0.15}
    for learner, variant in (("one", "one mask, pool"), ("fresh", "fresh masks, pool")):
        predicted = {r["setting"]: r for r in predictions(data, 400, 0) if r["variant"] == variant}
        for setting in ("0.5", "0.9", "U(.3,.9)"):
            law, measured = SETTINGS[setting], []
            for seed in range(3):
                rows = data.training_rows(400, seed)
                if learner == "one":
                    fitted, scored = linear.one_mask(data, rows, law, seed, features=features), features
                else:
                    fitted, scored = linear.fresh_masks(data, rows, law), list(range(60))
                measured.append(linear.errors(data, fitted, scored))
            for condition in ("full", "panel"):
                mean = np.mean([m[condition] for m in measured])
                assert predicted[setting][condition] == pytest.approx(mean, rel=tolerance[condition]), (
                    learner,
                    setting,
                    condition,
                )


# ---------------------------------------------------------------- summary


def test_comparison_knows_agreement_and_its_opposite():
    falling = {s: 8.0 - i for i, s in enumerate(NAMES)}
    key = {"data": "x", "n": 10}
    runs = [
        {"learner": "a", "width": 1, **key, "seed": seed, "setting": s, "full": falling[s] + seed, "panel": -falling[s]}
        for seed in range(2)
        for s in NAMES
    ]
    theory = [
        {**key, "seed": seed, "variant": v, "setting": s, "full": falling[s], "panel": falling[s]}
        for seed in range(2)
        for v in VARIANTS
        for s in NAMES
    ]
    full, panel = compare(runs, theory)
    assert (full["measure"], panel["measure"]) == ("full", "panel")
    assert full["theory"]["one mask"]["rank_correlation"] == pytest.approx(1)
    assert full["theory"]["one mask"]["cost"] == 0
    assert panel["theory"]["one mask"]["rank_correlation"] == pytest.approx(-1)
    assert full["best"] == NAMES[-1]
    assert full["paired_error"][NAMES[0]] == pytest.approx(0, abs=1e-12)  # what seeds share is no uncertainty of the order


def test_directions():
    assert [direction(a, b) for a, b in (("0.1", "0.5"), ("0.9", "0.5"), ("0.5", "U(0,1)"))] == ["up", "down", "same"]


# ---------------------------------------------------------------- a toy run


def test_training_lowers_the_nats_of_held_out_genes():
    data = pbmc68k(n_genes=60, sizes=(60, 120))
    rows = data.training_rows(120, 0)
    short, long = (gene_mae.train(data, rows, SETTINGS["0.5"], width=32, steps=steps, seed=0) for steps in (2, 80))
    for condition in ("full", "panel"):
        assert long[condition] < short[condition]
        assert 0 <= long[f"accuracy_{condition}"] <= 1


def test_toy_run_resumes_and_keeps_what_was_written_by_hand(tmp_path):
    threads = torch.get_num_threads()
    try:
        common = ["--quick", "--data", "digits", "--seeds", "1", "--out", str(tmp_path)]
        path = theory_networks.main([*common, "--learners", "linear_one_mask"])
        first = json.loads(path.read_text())
        page = path.with_suffix(".md")
        page.write_text(page.read_text().replace(TITLE, TITLE + "\nBy hand.\n"))
        theory_networks.main([*common, "--resume", "--learners", "linear_one_mask", "mlp_one_mask"])
    finally:
        torch.set_num_threads(threads)
    second = json.loads(path.read_text())
    assert second["runs"][: len(first["runs"])] == first["runs"]
    assert {r["learner"] for r in second["runs"]} == {"linear_one_mask", "mlp_one_mask"}
    blocks = {(r["learner"], r["data"], r["width"], r["n"]) for r in second["runs"]}
    assert len(second["runs"]) == 8 * len(blocks)
    assert all(np.isfinite([r["full"], r["panel"]]).all() and r["full"] > 0 for r in second["runs"])
    assert page.read_text().startswith(TITLE + "\nBy hand.\n" + TABLES)
    assert "mlp_one_mask" in page.read_text()
