"""Settings as frozen dataclasses, checked on creation, that go to JSON and back."""

from __future__ import annotations

from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.config._network import DNAConfig, GeneConfig
from r2mae_bio.config._training import GeneTrainConfig, TrainConfig

__all__ = ["CellFinetuneConfig", "DNAConfig", "FinetuneConfig", "GeneConfig", "GeneTrainConfig", "TrainConfig"]
