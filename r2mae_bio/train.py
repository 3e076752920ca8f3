"""Training as version 0.1.0 named it; it lives in the core and in the wings."""

from __future__ import annotations

from r2mae_bio._lazy import moved

__getattr__, __dir__, __all__ = moved(
    __name__,
    {
        "_splits": "split_cells",
        "cells.fit._batch": "CellBatch collate",
        "cells.fit._batch_effects": "add_batches fit_batch_effects",
        "cells.fit._factors": "Factors factor_analysis sparse_expression",
        "cells.fit._finetune": "CellFinetuneResult finetune_cell_classifier",
        "cells.fit._loader": "cell_loaders",
        "cells.fit._objective": "GeneObjective",
        "cells.fit._statistics": "CellStatistics scan_cells",
        "cells.fit._table": "CellTable",
        "cells.fit._views": "LabelledCells",
        "config._finetune_cells": "CellFinetuneConfig",
        "config._finetune_sequences": "FinetuneConfig",
        "core._checkpoint": "Bundle check_intact read_bundle write_folder",
        "core._loader": "EpochLoader Loaders epoch_batches",
        "core._metrics": "RatioMeter class_metrics matthews_correlation",
        "core._objective": "Objective Score",
        "core._precision": "has_bfloat16",
        "core._resume": "TrainingState check_unused latest_checkpoint",
        "core._run": "TrainOptions",
        "core._runner": "TrainResult fit initial_state",
        "dna.fit._batch": "WindowBatch WindowReader",
        "dna.fit._finetune": "FinetuneResult LinearChoice encoder_depths finetune_classifier",
        "dna.fit._linear": "FittedLinear fit_features fit_linear strands_agree",
        "dna.fit._linear_readings": "FittedReading KmerFeatures fit_readings pick_reading",
        "dna.fit._loader": "WindowLoader window_loaders",
        "dna.fit._markov": "MarkovModel markov_floors",
        "dna.fit._objective": "DNAObjective",
        "dna.fit._plan": "DrawnWindows FixedWindows",
        "dna.fit._sequence_batches": "SequenceGroups predict_classes predict_logits",
    },
)
