"""Probes of labelled sequences, on tasks whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.evaluate import sequence_probe
from r2mae_bio.evaluate.methods._sequence_controls import CONTROLS, sequence_control
from r2mae_bio.io import read_sequence_table, reverse_complement

from ..conftest import BaseStates, OneHotNetwork


def mcc(table: pd.DataFrame, method: str) -> float:
    task = read_sequence_table(table)
    return class_metrics(task.test.labels, sequence_control(task, method))["mcc"]


class Untrainable(BaseStates):
    """Its untrained form says nothing."""

    def untrained(self, *, seed):
        return BaseStates(0.0)


class Blind(BaseStates):
    """Neither frozen nor trained do its states say anything."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.network = OneHotNetwork(0.0)


def test_a_frozen_model_is_read_and_its_random_form_beside_it(composition):
    frame = sequence_probe(composition, {"bases": Untrainable()}, floors=False, seeds=(0, 1))
    assert frame[["method", "kind", "seed"]].to_numpy().tolist() == [
        ["bases", "frozen", 0],
        ["random init", "frozen", 0],
        ["random init", "frozen", 1],
    ]
    scores = frame.set_index(["method", "seed"])["mcc"]
    assert scores["bases", 0] > 0.9
    assert (scores["random init"] == 0).all()
    assert (frame["n_test"] == 200).all()
    assert (frame["seconds"] > 0).all()


def test_what_cannot_be_compared_is_said(composition, caplog):
    sequence_probe(composition, {"bases": BaseStates()}, floors=False, seeds=(0,))
    assert "random init" in caplog.text
    caplog.clear()
    sequence_probe(composition, {"bases": BaseStates(), "random init": BaseStates(0.0)}, floors=False, seeds=(0,))
    assert not caplog.text


def test_models_are_also_trained_end_to_end(place):
    config = FinetuneConfig(n_steps=120, evaluate_every=30, batch_size=32, learning_rate=5e-3, average=0.9)
    models = {"bases": BaseStates(), "random init": BaseStates()}
    rows: list[dict] = []
    frame = sequence_probe(
        place, models, floors=False, finetune=True, finetune_config=config, seeds=(0, 1), on_result=rows.append
    )
    for kind in ("finetuned", "finetuned_states"):
        trained = frame[frame["kind"] == kind]
        assert sorted(zip(trained["method"], trained["seed"], strict=True)) == [
            ("bases", 0),
            ("bases", 1),
            ("random init", 0),
            ("random init", 1),
        ]
        assert trained["mcc"].min() > 0.9, "it reads by position"
        assert trained["chosen"].str.contains("states").all() == (kind == "finetuned")
    pd.testing.assert_frame_equal(pd.DataFrame(rows)[list(frame.columns)], frame)


def test_linear_readings_are_fitted_once_and_lift_blind_states(composition, monkeypatch):
    from r2mae_bio.evaluate.methods import _sequence_methods

    fit, calls = _sequence_methods.fit_readings, []
    monkeypatch.setattr(_sequence_methods, "fit_readings", lambda table: calls.append(table) or fit(table))
    config = FinetuneConfig(n_steps=5, batch_size=32)
    models = {"blind": Blind(), "random init": Blind()}
    frame = sequence_probe(composition, models, floors=False, finetune=True, finetune_config=config, seeds=(0, 1))
    assert len(calls) == 1
    scores = frame.groupby("kind")["mcc"]
    assert scores.min()["finetuned"] > 0.9
    assert scores.max()["finetuned_states"] == 0
    alone = FinetuneConfig(n_steps=5, batch_size=32, linear_reading=False)
    frame = sequence_probe(composition, models, floors=False, finetune=True, finetune_config=alone, seeds=(0,))
    assert set(frame["kind"]) == {"frozen", "finetuned"}
    assert len(calls) == 1


def test_test_labels_are_scored_and_not_learned(composition):
    models = {"bases": BaseStates(), "random init": BaseStates(0.0)}
    turned = composition.copy()
    rows = turned["split"] == "test"
    turned.loc[rows, "label"] = 1 - turned.loc[rows, "label"]
    ones = sequence_probe(composition, models, floors=False, seeds=(0,))
    others = sequence_probe(turned, models, floors=False, seeds=(0,))
    np.testing.assert_allclose(ones["mcc"], -others["mcc"])
    np.testing.assert_allclose(ones["auroc"], 1 - others["auroc"])


def test_shared_rows_are_counted(motif):
    table = motif.copy()
    test = np.flatnonzero(table["split"] == "test")
    table.loc[test[0], "sequence"] = table.loc[0, "sequence"]
    table.loc[test[1], "sequence"] = reverse_complement(table.loc[600, "sequence"])
    shared = [read_sequence_table(t).n_shared() for t in (motif, table)]
    assert shared[1] == shared[0] + 2


def test_every_floor_is_printed_once_and_chance_is_repeated(place, monkeypatch):
    monkeypatch.setitem(CONTROLS, "small CNN", lambda table, seed: np.eye(2)[np.full(len(table.test), seed % 2)])
    frame = sequence_probe(place, seeds=(0, 1))
    counts = frame["method"].value_counts()
    assert set(counts.index) == set(CONTROLS)
    assert counts["small CNN"] == 2
    assert (counts.drop("small CNN") == 1).all()
    drawn = sequence_probe(place[place["split"] != "dev"], seeds=(0, 1))
    assert (drawn["method"].value_counts() == 2).all(), "other dev rows, another result"


def test_requests_that_cannot_be_met_say_why(place):
    with pytest.raises(ConfigError, match="0 seeds"):
        sequence_probe(place, seeds=())
    with pytest.raises(ConfigError, match="0 methods"):
        sequence_probe(place, floors=False)
    with pytest.raises(DataError, match="no test rows"):
        sequence_probe(place[place["split"] != "test"])
