"""The comparison of methods on somebody's cells."""

from __future__ import annotations

import functools
import re

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError, DataError, FractionalCountsError, SetupError
from r2mae_bio.evaluate import (
    MajorityClass,
    Noise,
    PCAZeroFill,
    compare,
    default_methods,
    panel_transfer,
    stratified_split,
    summarize,
)
from r2mae_bio.evaluate.report import _compare as module

from .conftest import FAST, OPTIONS


def test_frames_are_those_of_the_tasks(adata, result):
    assert list(result.frames) == list(FAST)
    panels = result.frames["panels"]
    assert set(panels["panel"]) == {"100%", "20%", "12 variable"}
    assert len(panels) == 4 * 2 * 3 * 2
    # the second seed has its own split, and the numbers are those of a direct call
    split = stratified_split(adata.obs["type"], seed=1)
    direct = panel_transfer([PCAZeroFill(4)], adata.X, adata.obs["type"], split=split, fractions=(1.0, 0.2), seeds=(1,))
    ours = panels[(panels["method"] == "PCA, zero fill") & (panels["seed"] == 1) & panels["panel"].isin(["100%", "20%"])]
    keys = ["panel", "probe"]
    assert ours.set_index(keys)["macro_f1"].to_dict() == direct.set_index(keys)["macro_f1"].to_dict()


def test_methods_that_cannot_denoise_are_left_out_and_named(result):
    assert list(result.frames["denoising"]["method"].unique()) == [
        "no denoising",
        "mean profile",
        "factor analysis",
        "PCA, zero fill",
    ]
    assert [re.search(r"without '(.*?)'", note)[1] for note in result.notes] == ["majority class", "noise"]


def test_panels_and_depth_share_one_fit(adata):
    fits = []

    class Counted(PCAZeroFill):
        def fit(self, counts, *, seed):
            fits.append(seed)
            return super().fit(counts, seed=seed)

    compare(adata, **{**OPTIONS, "methods": [Counted(4)]}, tasks=("panels", "depth"))
    assert fits == [0, 1]


def test_groups_are_held_out_by_turns(adata):
    lines = []
    result = compare(
        adata, **{**OPTIONS, "methods": [PCAZeroFill(4)]}, groups_key="donor", tasks=("depth",), on_result=lines.append
    )
    frame = result.frames["depth"]
    assert frame.groupby("seed")["group"].unique().map(list).to_dict() == {0: ["d1"], 1: ["d2"]}
    assert len(lines) == len(frame)
    assert "holds out one group (d1, d2)" in result.to_markdown()
    summary = result.summary()["depth"]
    assert "group" not in summary
    assert set(summary["n_seeds"]) == {2}


def test_unseen_classes_are_left_out_of_a_group(adata):
    alone = adata.copy()
    alone.obs["type"] = np.where((alone.obs["donor"] == "d1") & (alone.obs["type"] == "T"), "only here", alone.obs["type"])
    options = {**OPTIONS, "methods": [PCAZeroFill(4)], "seeds": (0,)}
    found = compare(alone, groups_key="donor", tasks=("panels",), **options)
    n_alone = (alone.obs["type"] == "only here").sum()
    assert found.notes == (f"{n_alone} cells of 'd1' were left out of the query: no cell of another group has their class.",)
    assert found.frames["panels"]["accuracy"].max() > 0.9
    alone.obs["type"] = np.where(alone.obs["donor"] == "d1", "only here", adata.obs["type"])
    with pytest.raises(DataError, match="'d1' shares no class"):
        compare(alone, groups_key="donor", tasks=("panels",), **options)


def test_summary_and_differences(result):
    summary = result.summary()["panels"]
    pd.testing.assert_frame_equal(summary, summarize(result.frames["panels"]))
    differences = result.differences()
    assert list(differences) == list(FAST)
    noise = differences["panels"].set_index(["method", "probe", "panel"]).loc[("noise", "linear", "100%")]
    assert noise["wins"] == noise["n"] == 2
    assert noise["mean"] > 0.3
    # a likelihood is better where it is smaller
    profile = differences["denoising"].set_index("method").loc["mean profile"]
    assert profile["mean"] < 0
    assert profile["wins"] == 2


def test_a_task_that_the_reference_cannot_do_has_no_differences(adata):
    result = compare(adata, **{**OPTIONS, "methods": [Noise(4), PCAZeroFill(4)]}, tasks=("depth", "denoising"))
    assert list(result.differences()) == ["depth"]
    assert "## Denoising" in result.to_markdown()


def test_integration_is_run_with_batches_and_without_the_majority(adata, integrated, monkeypatch):
    calls = []

    def stub(methods, counts, labels, *, batch, seeds, on_result):
        calls.append(([m.name for m in methods], set(batch), seeds))
        return integrated[integrated["seed"] == seeds[0]]

    monkeypatch.setattr(module, "integration", stub)
    monkeypatch.setattr(module, "require_scib_metrics", lambda: None)
    result = compare(
        adata, batch_key="donor", **{**OPTIONS, "methods": [PCAZeroFill(4), MajorityClass()]}, tasks=("integration",)
    )
    assert calls == [(["PCA, zero fill"], {"d1", "d2", "d3"}, (seed,)) for seed in (0, 1)]
    pd.testing.assert_frame_equal(
        result.frames["integration"].sort_values(["method", "seed", "metric"], ignore_index=True),
        integrated.sort_values(["method", "seed", "metric"], ignore_index=True),
    )
    assert "one point for all cells" in result.notes[0]


def test_integration_end_to_end(adata, monkeypatch):
    few = functools.partial(module.integration, metrics=("graph_connectivity",))
    monkeypatch.setattr(module, "integration", few)
    result = compare(adata, batch_key="donor", tasks=("integration",), **OPTIONS)
    assert set(result.frames["integration"]["method"]) == {"factor analysis", "PCA, zero fill", "noise"}


def test_defaults_hold_every_control():
    names = [method.name for method in default_methods()]
    assert names[0] == "R2MAE"
    assert len(set(names)) == len(names) == 10
    assert {"factor analysis", "PCA, zero fill", "scVI, zero fill", "random-init encoder", "majority class", "noise"} <= set(
        names
    )


def test_requests_that_cannot_be_met_are_refused_at_once(adata, tmp_path):
    def refuses(error, match, cells=adata, **options):
        with pytest.raises(error, match=match):
            compare(cells, **{**OPTIONS, "tasks": FAST, **options})

    refuses(ConfigError, "'speed' is unknown; choose from panels", tasks=("speed",))
    refuses(ConfigError, "pass batch_key", tasks=("integration",))
    refuses(ConfigError, "exists; name a folder", out=tmp_path)
    refuses(ConfigError, "repeat 'noise'", methods=[Noise(), Noise()])
    refuses(SetupError, "no column 'cell'; it has type, donor", labels_key="cell")
    missing = adata.copy()
    missing.obs["type"] = missing.obs["type"].where(np.arange(adata.n_obs) > 1)
    refuses(DataError, r"2 of 150 values of adata.obs\['type'\] are missing", cells=missing)
    single = adata.copy()
    single.obs["donor"] = "d1"
    refuses(DataError, "at least two groups", cells=single, batch_key="donor")
    logged = adata.copy()
    logged.X = logged.X * 0.5
    refuses(FractionalCountsError, "not whole|fraction", cells=logged)


def test_integration_without_batches_is_noted(adata):
    result = compare(adata, **{**OPTIONS, "methods": [PCAZeroFill(4)], "seeds": (0,)}, tasks=("depth", "integration"))
    assert list(result.frames) == ["depth"]
    assert result.notes == ("Integration was left out: no batch_key was given.",)


def test_a_group_that_cannot_be_a_query_is_refused_before_anything_is_trained(adata):
    strange = adata.copy()
    strange.obs["type"] = np.where(
        strange.obs["donor"] == "d3", "x" + strange.obs["type"].astype(str), strange.obs["type"].astype(str)
    )
    said = []
    with pytest.raises(DataError, match="'d3' shares no class"):
        compare(strange, groups_key="donor", tasks=("panels",), on_result=said.append, **{**OPTIONS, "seeds": (0, 1, 2)})
    assert said == []


def test_linear_controls_take_no_more_components_than_the_data_allow():
    found = {method.name: method.n_components for method in default_methods(25) if hasattr(method, "n_components")}
    assert found == {"factor analysis": 25, "probabilistic PCA": 20, "PCA, zero fill": 25, "noise": 64}


def test_few_genes_are_no_obstacle_to_the_default_methods(adata, monkeypatch):
    monkeypatch.setattr(module, "default_methods", lambda most=None: default_methods(most)[1:4])
    few = adata[:, :15].copy()
    few = few[np.asarray(few.X.sum(axis=1)).ravel() > 0].copy()
    result = compare(few, labels_key="type", panels=(1.0,), n_variable=None, seeds=(0,), tasks=("panels",))
    assert set(result.frames["panels"]["method"]) == {"factor analysis", "probabilistic PCA", "PCA, zero fill"}


def test_genes_are_those_that_all_panels_measured(adata, monkeypatch):
    """Of them linear controls take no more components, and the report tells."""
    monkeypatch.setattr(module, "default_methods", lambda most=None: default_methods(most)[1:4])
    cells = adata.copy()
    few, every = cells.var_names[:15], cells.var_names
    rb.model.GeneMAE.setup_anndata(cells, batch_key="donor", measured={"d1": every, "d2": few, "d3": few})
    cells = cells[np.asarray(cells.X[:, :15].sum(axis=1)).ravel() > 0].copy()
    result = compare(cells, labels_key="type", panels=(1.0,), n_variable=None, seeds=(0,), tasks=("panels",))
    assert set(result.frames["panels"]["n_genes"]) == {15}
    assert result.settings["genes"] == 15
