"""Which runs may be continued."""

from __future__ import annotations

import pytest

from r2mae_bio._errors import CheckpointError
from r2mae_bio.core._resume import TrainingState


def test_settings_that_an_older_version_lacked_are_not_compared():
    state = TrainingState(identity={"network": {"width": 8}, "seed": 1})
    state.check_continues({"network": {"width": 8, "later": True}, "seed": 1}, "folder")


@pytest.mark.parametrize("network", [{"width": 9, "later": True}, {"later": True}])
def test_settings_that_it_had_are_compared(network):
    state = TrainingState(identity={"network": {"width": 8}, "seed": 1})
    with pytest.raises(CheckpointError, match="network differ"):
        state.check_continues({"network": network, "seed": 1}, "folder")
