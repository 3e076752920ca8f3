"""Exceptions raised by r2mae_bio.

Every message says what was found, what was needed and what to do::

    R2MAEError
    ├── ConfigError              a setting that cannot work            (ValueError)
    ├── SetupError               a missing layer, column or call       (KeyError-like, ValueError)
    ├── DataError                data that cannot be used as given     (ValueError)
    │   ├── CountsError          the matrix does not hold counts
    │   │   ├── NonFiniteError
    │   │   ├── NegativeCountsError
    │   │   ├── LogTransformedError
    │   │   ├── FractionalCountsError
    │   │   └── EmptyCellsError
    │   ├── GeneIdentityError    gene names that cannot be trusted
    │   │   ├── DuplicateGenesError
    │   │   └── GeneCoverageError
    │   ├── FastaError           a file that is not usable as DNA FASTA
    │   │   ├── DuplicateContigsError
    │   │   ├── NotDNAError
    │   │   └── TruncatedFileError
    │   ├── RegionError          coordinates that do not lie on a contig
    │   │   ├── UnknownContigError
    │   │   └── AmbiguousContigError
    │   ├── MafError             an alignment that cannot be read as given
    │   ├── VcfError             variants that cannot be read or written as given
    │   └── BedError             a file or table that does not hold regions
    ├── JournalError             an unfinished output that cannot be continued (ValueError)
    ├── CacheError               a cache that cannot be written or read (OSError)
    ├── CheckpointError          a saved model that cannot be read     (ValueError)
    │   ├── CorruptCheckpointError
    │   ├── UnsafeCheckpointError
    │   └── VocabularyMismatchError
    ├── NotTrainedError          a call that needs a trained model     (RuntimeError)
    └── TrainingError            training that cannot go on            (RuntimeError)
"""

from __future__ import annotations


class R2MAEError(Exception):
    """Base class of every error this package raises on purpose."""


class ConfigError(R2MAEError, ValueError):
    """A setting is out of range or contradicts another one."""


class SetupError(R2MAEError, ValueError):
    """A layer, column or earlier call that is needed is missing."""


class DataError(R2MAEError, ValueError):
    """The data cannot be used as given."""


class CountsError(DataError):
    """The matrix does not hold raw counts."""


class NonFiniteError(CountsError):
    """The matrix holds NaN or infinite values, or some that single precision does not hold."""


class NegativeCountsError(CountsError):
    """The matrix holds negative values."""


class LogTransformedError(CountsError):
    """The matrix looks log-transformed."""


class FractionalCountsError(CountsError):
    """The matrix holds values that are not whole numbers."""


class EmptyCellsError(CountsError):
    """Some cells have no count at all."""


class GeneIdentityError(DataError):
    """Gene names cannot be matched safely."""


class DuplicateGenesError(GeneIdentityError):
    """Several columns carry the same gene."""


class GeneCoverageError(GeneIdentityError):
    """Too few of the model's genes are measured in the query."""


class FastaError(DataError):
    """A file cannot be used as DNA in FASTA format."""


class DuplicateContigsError(FastaError):
    """Several records carry the same name."""


class NotDNAError(FastaError):
    """The letters are not those of DNA: protein, RNA, gaps or a binary file."""


class TruncatedFileError(FastaError):
    """A compressed file is damaged or ends too early."""


class RegionError(DataError):
    """Coordinates do not lie on a contig."""


class UnknownContigError(RegionError):
    """No contig has this name or an equivalent one."""


class AmbiguousContigError(RegionError):
    """Several contigs have an equivalent name."""


class MafError(DataError):
    """An alignment in MAF cannot be read as given."""


class VcfError(DataError):
    """Variants cannot be read or written as given."""


class BedError(DataError):
    """A file or a table does not hold regions."""


class JournalError(R2MAEError, ValueError):
    """The part of an unfinished output belongs to another run, or is damaged or in use."""


class CacheError(R2MAEError, OSError):
    """A cache cannot be written, or is damaged and cannot be rebuilt."""


class CheckpointError(R2MAEError, ValueError):
    """A saved model cannot be read."""


class CorruptCheckpointError(CheckpointError):
    """A file of the checkpoint is damaged, truncated or missing."""


class UnsafeCheckpointError(CheckpointError):
    """A file of the checkpoint is a pickle; this package never unpickles."""


class VocabularyMismatchError(CheckpointError):
    """Weights and gene vocabulary do not belong together."""


class NotTrainedError(R2MAEError, RuntimeError):
    """The call needs a trained model."""


class TrainingError(R2MAEError, RuntimeError):
    """Training cannot go on."""
