"""Exceptions raised by r2mae_bio, to be caught by name; the tree is drawn in the module they come from."""

from __future__ import annotations

from r2mae_bio._errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    CountsError,
    DataError,
    DuplicateGenesError,
    EmptyCellsError,
    FractionalCountsError,
    GeneCoverageError,
    GeneIdentityError,
    LogTransformedError,
    NegativeCountsError,
    NonFiniteError,
    NotTrainedError,
    R2MAEError,
    SetupError,
    TrainingError,
    UnsafeCheckpointError,
    VocabularyMismatchError,
)

__all__ = [
    "CheckpointError",
    "ConfigError",
    "CorruptCheckpointError",
    "CountsError",
    "DataError",
    "DuplicateGenesError",
    "EmptyCellsError",
    "FractionalCountsError",
    "GeneCoverageError",
    "GeneIdentityError",
    "LogTransformedError",
    "NegativeCountsError",
    "NonFiniteError",
    "NotTrainedError",
    "R2MAEError",
    "SetupError",
    "TrainingError",
    "UnsafeCheckpointError",
    "VocabularyMismatchError",
]
