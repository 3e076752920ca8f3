"""Candidates for a better objective: each starts where the default starts, corrupts what it says,
and is judged as the default is.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import callbacks
from scipy import sparse

from benchmarks import objective, objective_candidates
from benchmarks.gene_sets import GeneSet
from benchmarks.objective import CANDIDATES
from benchmarks.objective_candidates import Candidate, CandidateObjective
from r2mae_bio.evaluate import stratified_split
from r2mae_bio.masking import MaskPlan
from r2mae_bio.model import GeneMAE
from r2mae_bio.tokens import TokenBatch
from tests.toy_cells import SIZES, make_cells


def _name(candidate):
    return ",".join(f.name for f in fields(candidate) if getattr(candidate, f.name) != getattr(Candidate(), f.name))


@pytest.fixture(scope="module")
def adata():
    cells = make_cells()
    GeneMAE.setup_anndata(cells)
    return cells


@pytest.fixture(autouse=True)
def _two_epochs(monkeypatch):
    monkeypatch.setattr(objective_candidates, "default_epochs", lambda *_: 2)


def trained(adata, candidate):
    return replace(candidate, model={**SIZES, **candidate.model}).fit(adata, 0)


@pytest.mark.parametrize(
    "candidate", [Candidate(second_look=3), Candidate(factor_dropout=0.5), Candidate(gain_sd=1.0)], ids=_name
)
def test_a_candidate_starts_where_the_default_starts(adata, candidate):
    start = trained(adata, Candidate(trained=False)).get_latent_representation()
    found = trained(adata, replace(candidate, trained=False)).get_latent_representation()
    assert found == pytest.approx(start, abs=1e-6)
    assert np.abs(start).max() > 0.1


def test_without_a_change_the_loss_is_that_of_the_default(adata):
    """Without dropout, which would differ between training and validation."""
    model = GeneMAE(adata, seed=0, dropout=0.0, **SIZES)
    model.train(3, progress_bar=False, accelerator="cpu")
    table = model._training_table()
    statistics, cells = model._scan(table, 0.9), table.batch(np.arange(20))
    plan = MaskPlan(torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) < 0.5, cells.measured)
    expected = model._objective(statistics).score(model.network, cells, plan)
    found = CandidateObjective("nb", statistics, Candidate(), 0).score(model.network.train(), cells, plan)
    assert torch.allclose(found.nats, expected.nats)
    assert torch.equal(found.weight, expected.weight)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(gain_sd=1.0),
        Candidate(thinning=0.1),
        Candidate(agreement="cosine", weight=1.0),
        Candidate(agreement="vicreg", weight=1.0),
        Candidate(agreement="contrast", weight=1.0),
        Candidate(visible=1.0),
        Candidate(second_look=3),
        pytest.param(
            Candidate(average=0.9),
            marks=pytest.mark.skipif(not hasattr(callbacks, "EMAWeightAveraging"), reason="this Lightning averages no weights"),
        ),
    ],
    ids=_name,
)
def test_a_candidate_trains_to_other_weights_and_validates_as_the_default(adata, candidate):
    default, found = trained(adata, Candidate()), trained(adata, candidate)
    assert np.isfinite(found.history["validation_loss"]).all()
    assert not np.allclose(found.get_latent_representation(), default.get_latent_representation())
    assert found.blind_loss == default.blind_loss


def corrupted(candidate, tokens, step=0):
    made = CandidateObjective.__new__(CandidateObjective)
    made.candidate = candidate
    generator = torch.Generator().manual_seed(step)
    return made._corrupted(made._some_genes(tokens, generator), generator)


def test_what_is_corrupted():
    values = torch.full((50, 40), 10.0)
    tokens = TokenBatch(torch.arange(40)[None], values, torch.ones(50, 40, dtype=torch.bool), full=True)
    gains = corrupted(Candidate(gain_sd=1.0), tokens).values
    assert (gains == gains[0]).all()
    assert gains[0].std() > 0.5
    few = corrupted(Candidate(thinning=0.1), tokens).values
    assert (few == few.round()).all()
    assert ((few <= 10) & (few >= 0)).all()
    assert few.mean(1).min() < 4 < 8 < few.mean(1).max()  # each cell has a depth of its own
    kept = [corrupted(Candidate(panel=0.03), tokens, step).visible for step in range(40)]
    assert all((mask == mask[0]).all() for mask in kept)
    shares = np.array([float(mask.float().mean()) for mask in kept])
    assert 0.25 < (shares == 1).mean() < 0.75
    assert shares.min() < 0.2


def test_runs_are_kept_and_reported(monkeypatch, tmp_path):
    rng, labels = np.random.default_rng(0), np.repeat(["a", "b"], [120, 60])
    means = np.where((labels == "a")[:, None], rng.gamma(1, 2, 40), rng.gamma(1, 2, 40))
    counts = sparse.csr_array(rng.poisson(means).astype(np.float32))
    cells = GeneSet("toy", counts, labels, np.array([f"g{i}" for i in range(40)]), stratified_split(labels, seed=0))
    monkeypatch.setattr(objective, "load", lambda *_, **__: cells)
    small = {name: replace(CANDIDATES[name], model=SIZES) for name in ("start", "default", "gains, sd up to 1")}
    monkeypatch.setattr(objective, "CANDIDATES", small)
    path, out = tmp_path / "rows.json", tmp_path / "report.md"
    words = ["--json", str(path), "--sets", "kidney", "--seeds", "2", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["objective", *words])
    objective.main()
    rows = pd.read_json(path)
    assert len(rows) == 2 * 3 * len(objective.STATES) * 4
    assert rows["macro_f1"].between(0, 1).all()
    wide = rows.query("on == 'query'").pivot_table(index="seed", columns=["method", "state", "probe"], values="macro_f1")
    gap = (wide["default"] - wide["start"])["10% of molecules", "knn"]
    text = f"{gap.mean():+.3f} ± {1.96 * gap.std() / 2**0.5:.3f}"
    assert text in out.read_text().split("query cells minus")[1]
    losses = rows.groupby(["method", "seed"])["nats"].first().unstack()
    assert (losses.loc["default"] < losses.loc["start"]).all()
