"""Training: data, loss bookkeeping, the Lightning plan, checkpoints and the runner."""

from __future__ import annotations

from r2mae_bio.train._batch import CellBatch, collate, epoch_batches
from r2mae_bio.train._checkpoint import Bundle, check_intact, read_bundle, write_folder
from r2mae_bio.train._class_metrics import class_metrics, matthews_correlation
from r2mae_bio.train._classifier import FinetuneResult, LinearChoice, encoder_depths, finetune_classifier
from r2mae_bio.train._classifier_config import FinetuneConfig
from r2mae_bio.train._dna_objective import DNAObjective
from r2mae_bio.train._factors import Factors, factor_analysis, log_expression
from r2mae_bio.train._linear import FittedLinear, fit_features, fit_linear, strands_agree
from r2mae_bio.train._linear_readings import FittedReading, KmerFeatures, fit_readings, pick_reading
from r2mae_bio.train._loader import CellLoader, CellTable, EpochLoader, Loaders, cell_loaders
from r2mae_bio.train._markov import MarkovModel, markov_floors
from r2mae_bio.train._metrics import RatioMeter
from r2mae_bio.train._objective import GeneObjective, Objective, Score
from r2mae_bio.train._plan import MaskedTrainingPlan
from r2mae_bio.train._resume import TrainingState, check_unused, latest_checkpoint
from r2mae_bio.train._runner import TrainOptions, TrainResult, fit, initial_state, split_cells
from r2mae_bio.train._sequence_batches import SequenceGroups, predict_classes, predict_logits
from r2mae_bio.train._statistics import CellStatistics, scan_cells
from r2mae_bio.train._window_loader import DrawnWindows, FixedWindows, WindowLoader, window_loaders
from r2mae_bio.train._windows import WindowBatch, WindowReader

__all__ = [
    "Bundle",
    "CellBatch",
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
    "cell_loaders",
    "check_intact",
    "check_unused",
    "class_metrics",
    "collate",
    "encoder_depths",
    "epoch_batches",
    "factor_analysis",
    "finetune_classifier",
    "fit",
    "fit_features",
    "fit_linear",
    "fit_readings",
    "initial_state",
    "latest_checkpoint",
    "log_expression",
    "markov_floors",
    "matthews_correlation",
    "pick_reading",
    "predict_classes",
    "predict_logits",
    "read_bundle",
    "scan_cells",
    "split_cells",
    "strands_agree",
    "window_loaders",
    "write_folder",
]
