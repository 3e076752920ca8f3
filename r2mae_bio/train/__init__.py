"""Training: data, loss bookkeeping, the Lightning plan, checkpoints and the runner."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from r2mae_bio.train._batch import CellBatch, collate, epoch_batches
from r2mae_bio.train._batch_effects import add_batches, fit_batch_effects
from r2mae_bio.train._bfloat16 import has_bfloat16
from r2mae_bio.train._cell_finetune_config import CellFinetuneConfig
from r2mae_bio.train._checkpoint import Bundle, check_intact, read_bundle, write_folder
from r2mae_bio.train._class_metrics import class_metrics, matthews_correlation
from r2mae_bio.train._classifier_config import FinetuneConfig
from r2mae_bio.train._dna_objective import DNAObjective
from r2mae_bio.train._factors import Factors, factor_analysis, sparse_expression
from r2mae_bio.train._loader import CellLoader, CellTable, EpochLoader, Loaders, cell_loaders
from r2mae_bio.train._metrics import RatioMeter
from r2mae_bio.train._objective import GeneObjective, Objective, Score
from r2mae_bio.train._plan import MaskedTrainingPlan
from r2mae_bio.train._resume import TrainingState, check_unused, latest_checkpoint
from r2mae_bio.train._runner import TrainOptions, TrainResult, fit, initial_state, split_cells
from r2mae_bio.train._statistics import CellStatistics, scan_cells

if TYPE_CHECKING:
    from r2mae_bio.train._cell_classifier import CellFinetuneResult, LabelledCells, finetune_cell_classifier
    from r2mae_bio.train._classifier import FinetuneResult, LinearChoice, encoder_depths, finetune_classifier
    from r2mae_bio.train._linear import FittedLinear, fit_features, fit_linear, strands_agree
    from r2mae_bio.train._linear_readings import FittedReading, KmerFeatures, fit_readings, pick_reading
    from r2mae_bio.train._markov import MarkovModel, markov_floors
    from r2mae_bio.train._sequence_batches import SequenceGroups, predict_classes, predict_logits
    from r2mae_bio.train._window_loader import DrawnWindows, FixedWindows, WindowLoader, window_loaders
    from r2mae_bio.train._windows import WindowBatch, WindowReader

__all__ = [
    "Bundle",
    "CellBatch",
    "CellFinetuneConfig",
    "CellFinetuneResult",
    "CellLoader",
    "CellStatistics",
    "CellTable",
    "DNAObjective",
    "DrawnWindows",
    "EpochLoader",
    "Factors",
    "FinetuneConfig",
    "FinetuneResult",
    "FittedLinear",
    "FittedReading",
    "FixedWindows",
    "GeneObjective",
    "KmerFeatures",
    "LabelledCells",
    "LinearChoice",
    "Loaders",
    "MarkovModel",
    "MaskedTrainingPlan",
    "Objective",
    "RatioMeter",
    "Score",
    "SequenceGroups",
    "TrainOptions",
    "TrainResult",
    "TrainingState",
    "WindowBatch",
    "WindowLoader",
    "WindowReader",
    "add_batches",
    "cell_loaders",
    "check_intact",
    "check_unused",
    "class_metrics",
    "collate",
    "encoder_depths",
    "epoch_batches",
    "factor_analysis",
    "finetune_cell_classifier",
    "finetune_classifier",
    "fit",
    "fit_batch_effects",
    "fit_features",
    "fit_linear",
    "fit_readings",
    "has_bfloat16",
    "initial_state",
    "latest_checkpoint",
    "markov_floors",
    "matthews_correlation",
    "pick_reading",
    "predict_classes",
    "predict_logits",
    "read_bundle",
    "scan_cells",
    "sparse_expression",
    "split_cells",
    "strands_agree",
    "window_loaders",
    "write_folder",
]

# These read files, and with them AnnData; a training run of genes on a bare machine does without.
_WHEN_USED = {
    "_cell_classifier": "CellFinetuneResult LabelledCells finetune_cell_classifier",
    "_classifier": "FinetuneResult LinearChoice encoder_depths finetune_classifier",
    "_linear": "FittedLinear fit_features fit_linear strands_agree",
    "_linear_readings": "FittedReading KmerFeatures fit_readings pick_reading",
    "_markov": "MarkovModel markov_floors",
    "_sequence_batches": "SequenceGroups predict_classes predict_logits",
    "_window_loader": "DrawnWindows FixedWindows WindowLoader window_loaders",
    "_windows": "WindowBatch WindowReader",
}
_MODULES = {name: module for module, names in _WHEN_USED.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
