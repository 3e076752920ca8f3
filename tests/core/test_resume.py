"""Which runs may be continued."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio._errors import CheckpointError, CorruptCheckpointError
from r2mae_bio.core._checkpoint import write_folder
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._resume import TrainingState

UNSAID = {"network": [{"width": 8, "later": True}, {"later": 0}]}


@pytest.mark.parametrize("later", [True, 0])
def test_settings_that_an_older_version_lacked_are_as_they_were_or_by_default(later):
    state = TrainingState(identity={"network": {"width": 8}, "seed": 1})
    state.check_continues({"network": {"width": 8, "later": later}, "seed": 1}, "folder", unsaid=UNSAID)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({"network": {"width": 9, "later": True}, "seed": 1}, r"network differ \(network: width\)"),
        ({"network": {"later": True}, "seed": 1}, r"network differ \(network: width\)"),
        ({"network": {"width": 8, "later": 3}, "seed": 1}, r"network differ \(network: later\)"),
        ({"network": {"width": 8, "unheard of": 3}, "seed": 2}, r"network, seed differ \(network: unheard of\)"),
        ({"network": {"width": 8}, "seed": 2}, r"run: seed differ\. "),
    ],
)
def test_another_run_is_refused_and_its_settings_named(identity, words):
    state = TrainingState(identity={"network": {"width": 8}, "seed": 1})
    with pytest.raises(CheckpointError, match=words):
        state.check_continues(identity, "folder", unsaid=UNSAID)


def state_of(network, **changes):
    """After two epochs of three steps and one step more."""
    moments = {
        f"optimizer.{kind}.{name}": torch.zeros(()) if kind == "step" else torch.zeros_like(parameter)
        for name, parameter in network.named_parameters()
        for kind in ("step", "exp_avg", "exp_avg_sq")
    }
    best = {f"best.{name}": tensor.clone() for name, tensor in network.state_dict().items()}
    tensors = {**moments, **best, **RatioMeter().tensors(), "meter.repeat": torch.zeros(2, dtype=torch.float64)}
    given = {"step": 7, "history": [{"epoch": 0.0}, {"epoch": 1.0}], "mask_ratios": [0] * 20, "tensors": tensors}
    tensors |= changes.pop("tensors", {})
    return TrainingState(**{**given, **changes})


@pytest.fixture
def network():
    return torch.nn.Linear(3, 1)


def test_a_state_of_this_network_is_continued(network):
    state_of(network).check_consistent(network, 3, "folder")
    begun = TrainingState(tensors=RatioMeter().tensors())
    begun.check_consistent(network, 3, "folder")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"step": 9}, "9 steps of 3 an epoch do not make 2 rows"),
        ({"step": -1, "history": []}, "-1 steps"),
        ({"mask_ratios": [1, 2]}, "counted in 2 bins; needed are 20"),
        ({"tensors": {"optimizer.exp_avg.weight": torch.zeros(2, 3)}}, "exp_avg.weight has the shape"),
        ({"tensors": {"optimizer.exp_avg_sq.bias": torch.zeros(1, dtype=torch.int64)}}, "exp_avg_sq.bias is of torch.int64"),
        ({"tensors": {"optimizer.exp_avg.other": torch.zeros(1)}}, r"unknown \(optimizer.exp_avg.other\)"),
        ({"tensors": {"best.weight": torch.full((1, 3), float("nan"))}}, "best.weight holds numbers that are not finite"),
        ({"tensors": {"meter": torch.zeros(3, 5, dtype=torch.float64)}}, "meter has the shape"),
        ({"tensors": {"meter.repeat": torch.zeros(5, dtype=torch.float64)}}, "meter.repeat has the shape"),
    ],
)
def test_a_state_that_contradicts_itself_or_the_network_is_refused(network, changes, problem):
    with pytest.raises(CorruptCheckpointError, match=f"in folder cannot be continued: .*{problem}.*resume from another one"):
        state_of(network, **changes).check_consistent(network, 3, "folder")


@pytest.mark.parametrize("name", ["optimizer.step.weight", "best.bias", "meter"])
def test_a_state_that_lacks_a_tensor_is_refused(network, name):
    state = state_of(network)
    del state.tensors[name]
    with pytest.raises(CorruptCheckpointError, match=rf"missing \({name}\)"):
        state.check_consistent(network, 3, "folder")


@pytest.mark.parametrize(
    "change",
    [
        {"step": "7"},
        {"step": True},
        {"history": 3},
        {"history": [{"epoch": "one"}]},
        {"mask_ratios": [0.5]},
        {"early_stopping": {"wait_count": "many"}},
        {"identity": []},
    ],
)
def test_a_state_of_other_types_is_refused_as_it_is_read(network, tmp_path, change):
    folder = tmp_path / "step_00000007"
    write_folder(folder, {"state": state_of(network).bundle()})
    assert TrainingState.read(folder).step == 7
    write_folder(folder, {"state": state_of(network, **change).bundle()}, overwrite=True)
    with pytest.raises(CorruptCheckpointError, match="lacks or misstates part of a training state"):
        TrainingState.read(folder)
