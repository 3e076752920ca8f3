"""What a training run is: how long it lasts, and what makes it the same run when it is resumed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from r2mae_bio.config import TrainConfig
    from r2mae_bio.model._bundle import GeneRecord
    from r2mae_bio.train import CellStatistics, CellTable

_TARGET_STEPS = 400
_EPOCHS = (20, 400)


def default_epochs(n_cells: int, batch_size: int) -> int:
    """Epochs for about 400 optimiser steps, between 20 and 400.

    Parameters
    ----------
    n_cells
        Number of cells.
    batch_size
        Cells per step.
    """
    per_epoch = -(-n_cells // batch_size)
    return int(np.clip(-(-_TARGET_STEPS // per_epoch), *_EPOCHS))


def run_identity(record: GeneRecord, config: TrainConfig, table: CellTable, statistics: CellStatistics) -> dict[str, Any]:
    """What must not differ between a run and its continuation, as it looks when it comes back from disk.

    Parameters
    ----------
    record
        Of the model.
    config
        Settings of the run.
    table
        The cells and their covariates.
    statistics
        Of the training cells.
    """
    identity = {
        "data": statistics.fingerprint,
        "genes": record.vocabulary.fingerprint(),
        "covariates": [record.covariates.to_json(), hashlib.sha256(table.context.tobytes()).hexdigest()],
        "network": record.config.to_json(),
        "training settings": config.to_json(),
        "mask ratio": record.law.to_json(),
        "seed": record.seed,
    }
    return json.loads(json.dumps(identity))
