"""Laws of the mask ratio and time to quality: parts against hand-made numbers and direct
computation, and toy runs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats

from benchmarks import ratio_laws, time_to_quality
from benchmarks.gene_sets import GeneSet
from benchmarks.ratio_laws import ARMS, LAWS, SHARES, held_out_nats, law_of, thinned, trained
from benchmarks.ratio_laws_report import (
    QUERY,
    R2MAE,
    VALIDATION,
    against,
    best_fixed,
    by_what,
    group,
    markdown,
    means,
    ranks,
    summary,
    tuned_uniform,
)
from r2mae_bio._rng import derive_generator
from r2mae_bio.core._training_step import MaskedTraining
from r2mae_bio.evaluate import MaskedAutoencoder, stratified_split
from r2mae_bio.masking import RatioLaw, Schedule, draw_plan
from r2mae_bio.tokens import TokenBatch

TINY = {"n_latent": 4, "n_factors": 3, "n_tokens": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}


@pytest.fixture
def cells() -> GeneSet:
    """Two kinds of cells, 40 genes."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], [120, 60])
    means = np.where((labels == "a")[:, None], rng.gamma(1, 2, 40), rng.gamma(1, 2, 40))
    counts = sparse.csr_array(rng.poisson(means).astype(np.float32))
    return GeneSet("toy", counts, labels, np.array([f"g{i}" for i in range(40)]), stratified_split(labels, seed=0))


@pytest.fixture
def small(monkeypatch, cells) -> GeneSet:
    """Networks so small that a run takes no time."""
    arms = {name: ratio_laws.Arm({**TINY, **arm.model_kwargs}, arm.scope) for name, arm in ARMS.items()}
    monkeypatch.setattr(ratio_laws, "ARMS", arms)
    return cells


def made(values: dict[tuple, float]) -> pd.DataFrame:
    """Rows from (arm, law, seed, task, condition): value."""
    rows = [dict(zip(("arm", "law", "seed", "task", "condition"), key, strict=True), value=v) for key, v in values.items()]
    return pd.DataFrame(rows).assign(set="toy", budget="9 steps", steps=9, train_seconds=2.0, cpu_seconds=1.0, ratios="{}")


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three laws, two seeds. R2MAE leads in F1 by .10 and .20 over fixed .5; in nats it trails by
    .01 and .03.
    """
    values = {}
    for seed in range(2):
        score = {R2MAE: 0.9, "fixed .5": 0.8 - 0.1 * seed, "fixed .9": 0.7 - 0.1 * seed}
        nats = {R2MAE: 1.05, "fixed .5": 1.04 - 0.02 * seed, "fixed .9": 1.5}
        for law in score:
            for arm, shift in (("transformer", 0.0), ("mlp", 0.25 + 0.1 * seed)):
                values[arm, law, seed, "linear F1", "100%"] = score[law] - shift
                values[arm, law, seed, "kNN F1", "10%"] = score[law] / 2 - shift
                values[arm, law, seed, QUERY, "50%"] = nats[law] + shift
    return made(values)


# ---------------------------------------------------------------- report


def test_ranks_by_hand(frame):
    """In F1 the order is R2MAE, .5, .9; in nats it is .5, R2MAE, .9: ranks of R2MAE are 1, 1, 2 in
    each seed.
    """
    found = ranks(frame[frame["arm"] == "transformer"])
    assert list(found.index) == [R2MAE, "fixed .5", "fixed .9"]
    spread = np.std([1, 1, 2, 1, 1, 2], ddof=1)
    assert list(found["all"]) == [f"1.33 ± {spread:.2f}", f"1.67 ± {spread:.2f}", "3.00 ± 0.00"]
    assert list(found[QUERY]) == ["2.00 ± 0.00", "1.00 ± 0.00", "3.00 ± 0.00"]


def test_means_and_paired_differences_by_hand(frame):
    rows = frame[frame["arm"] == "transformer"]
    wide = by_what(rows, group(rows))
    assert list(means(wide).loc["fixed .5"]) == ["0.750", "0.375", "1.0300"]
    gap = summary(wide.loc[R2MAE] - wide)
    times = stats.t.ppf(0.975, 1) / 2**0.5
    assert gap.loc["fixed .5", "F1, all genes"] == f"+0.150 ± {times * np.std([0.1, 0.2], ddof=1):.3f}"
    assert gap.loc["fixed .5", "nats"] == f"+0.0200 ± {times * np.std([0.01, 0.03], ddof=1):.4f}"


def test_networks_are_compared_under_the_same_law_and_seed(frame):
    text = "\n".join(against(frame, "mlp"))
    half = stats.t.ppf(0.975, 1) / 2**0.5 * np.std([0.25, 0.35], ddof=1)
    assert f"| fixed .9 | +0.300 ± {half:.3f} | +0.300 ± {half:.3f} | -0.3000 ± {half:.4f} |" in text
    assert f"| all laws | +0.300 ± {half:.3f} |" in text
    assert against(frame[frame["arm"] == "transformer"], "mlp") == []


def test_choices():
    values = {("transformer", "fixed .3", 0, "kNN F1", c): v for c, v in (("30%", 0.9), ("10%", 0.5), ("100%", 0.0))}
    values |= {("transformer", "fixed .9", 0, "kNN F1", c): v for c, v in (("30%", 0.7), ("10%", 0.6), ("100%", 1.0))}
    assert best_fixed(made(values))[0].endswith("in hindsight: fixed .3 (.3 at 30%, .9 at 10%).")
    nats = {R2MAE: 1.2, "uniform .3 to .95": 1.1, "fixed .5": 0.1}
    loss = made({("transformer", law, 0, VALIDATION, share): v for law, v in nats.items() for share in ("15%", "50%")})
    assert "uniform .3 to .95 1.1000, R2MAE 1.2000." in tuned_uniform(loss)[0]
    assert tuned_uniform(loss)[0].endswith("Best for each set: toy uniform .3 to .95.")


def test_report_leaves_out_validation_and_seeds_that_lack_a_law(frame):
    more = made({("transformer", R2MAE, 7, "linear F1", "100%"): 0.0, ("transformer", R2MAE, 0, VALIDATION, "50%"): 9.0})
    text = markdown(pd.concat([frame, more]))
    assert "| R2MAE | 0.900 | 0.450 | 1.0500 |" in text
    assert "9.0" not in text.split("## transformer minus")[0].replace("| 9.0 |", "")


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("name", LAWS)
def test_every_law_builds_in_every_network(name):
    for arm in ARMS:
        law = law_of(arm, name)
        if law is None:
            assert ARMS[arm].scope == "batch"
        elif law != "auto":
            assert isinstance(law, RatioLaw)
            assert law.scope == ARMS[arm].scope
    built = law_of("transformer", name)
    if name.startswith("fixed"):
        assert built.ratio == float(name.removeprefix("fixed "))
    if isinstance(built, Schedule):
        assert (name.split()[0], built.quantile(0.5), built.quantile(0.5, progress=1.0)) == (built.kind, 0.9, pytest.approx(0.15))


# ---------------------------------------------------------------- cells, training, loss


def test_thinned_cells_keep_the_shares_of_classes(cells):
    few = thinned(cells, 0, (42, 27))
    reference, query = (few.labels[rows] for rows in (few.split.reference, few.split.query))
    assert ((reference == "a").sum(), (reference == "b").sum(), (query == "a").sum()) == (28, 14, 18)
    assert not np.intersect1d(few.split.reference, few.split.query).size
    assert (few.counts != thinned(cells, 0, (42, 27)).counts).nnz == 0
    whole = thinned(cells, 0)
    assert (whole.counts[whole.split.query] != cells.counts[cells.split.query]).nnz == 0


def test_training_ends_at_the_step_and_the_rate_that_were_asked_for(small, monkeypatch):
    factors, inner = {}, MaskedTraining.rate_factor
    monkeypatch.setattr(MaskedTraining, "rate_factor", lambda plan: factors.setdefault(plan.step, inner(plan)))
    monkeypatch.setattr(ratio_laws, "BATCH_SIZE", 30)  # four steps an epoch
    trained(small.counts[small.split.reference], "mlp", R2MAE, seed=0, steps=10)
    expected = 0.01 + 0.99 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2  # one step of warm-up
    assert list(factors) == list(range(10))
    assert list(factors.values()) == pytest.approx(list(expected))


@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
def test_held_out_nats_equal_a_direct_computation(cells, encoder):
    """Cell by cell: read the visible genes, and ask scipy for the probability of each hidden
    count.
    """
    counts = cells.counts[cells.split.query]
    method = MaskedAutoencoder("toy", trained=False, model_kwargs={**TINY, "encoder": encoder})
    model = method.fit(cells.counts[cells.split.reference], seed=0).model
    found = held_out_nats(model, counts, seed=3, shares=(0.5, 0.97))
    assert list(found) == ["50%", "97%"]
    values = torch.from_numpy(counts.toarray())
    for share, nats in zip((0.5, 0.97), found.values(), strict=True):
        generator = derive_generator(3, "held-out mask", round(1000 * share), 0)
        hidden = draw_plan(torch.ones(1, 40, dtype=torch.bool), np.full(len(values), share), generator).hidden
        total = 0.0
        for row, mask in zip(values, hidden, strict=True):
            visible = TokenBatch(torch.arange(40)[None], (row * ~mask)[None], ~mask[None], full=True)
            with torch.no_grad():
                params = model.network(visible, torch.zeros(1, 0))
            mean, theta = params.location[0].exp().double().numpy(), params.dispersion[0].exp().double().detach().numpy()
            total -= stats.nbinom.logpmf(row.numpy(), theta, theta / (theta + mean))[mask.numpy()].sum()
        assert int(hidden.sum()) == len(values) * round(40 * share)
        assert nats == pytest.approx(total / int(hidden.sum()), rel=1e-5)


# ---------------------------------------------------------------- toy runs


def test_runs_are_kept_and_resumed(small, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(ratio_laws, "load", lambda *_, **__: small)
    inner = ratio_laws.trained
    monkeypatch.setattr(ratio_laws, "trained", lambda *a, **k: calls.append(a[1:]) or inner(*a, **k))
    path, out = tmp_path / "rows.json", tmp_path / "report.md"
    common = ["--json", str(path), "--sets", "kidney", "--seeds", "1", "--steps", "2", "--laws", "R2MAE; fixed .5"]
    ratio_laws.main([*common, "--arms", "mlp"])
    first = pd.read_json(path)
    ratio_laws.main([*common, "--arms", "mlp; transformer, batch scope", "--resume", "--out", str(out)])
    assert calls == [("mlp", R2MAE), ("mlp", "fixed .5"), ("transformer, batch scope", R2MAE)]
    assert pd.read_json(path)[: len(first)].equals(first)
    assert len(first) == 2 * (8 + 2 * len(SHARES))
    assert "## mlp" in out.read_text()
    with pytest.raises(SystemExit, match="holds runs of 2 steps, not of 3 steps"):
        ratio_laws.main(["--json", str(path), "--steps", "3", "--resume"])
    with pytest.raises(SystemExit, match="pass --resume"):
        ratio_laws.main(common)


def test_first_steps_that_reach_scvi_by_hand():
    def row(method, steps, seconds, linear, knn):
        return {"set": "toy", "seed": 0, "method": method, "steps": steps, "train_seconds": seconds, "cpu_seconds": seconds / 2,
                "linear": linear, "knn": knn}  # fmt: skip

    frame = pd.DataFrame([
        row("scVI", 0, 60.0, 0.8, 0.9),
        row("R2MAE", 50, 12.0, 0.85, 0.7),
        row("R2MAE", 0, 2.0, 0.7, 0.6),
        row("R2MAE", 25, 6.0, 0.8, 0.8),
    ])  # fmt: skip
    linear, knn = time_to_quality.reached(frame).to_dict("records")
    assert (linear["steps"], linear["seconds"], linear["ratio"], linear["cpu_ratio"]) == (25, 6.0, 10.0, 10.0)
    assert np.isnan(knn["ratio"])
    assert knn["best"] == 0.8
    text = time_to_quality.markdown(frame)
    assert "reached in 1 of 1 sets and seeds, in the geometric mean 10.0 times sooner" in text
    assert "| toy | 0 | 0.900 | 60.0 | not reached | best 0.800 |" in text
