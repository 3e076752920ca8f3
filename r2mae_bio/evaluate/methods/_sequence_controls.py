"""The controls of sequence classification: what is reached without any pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.dna.fit._finetune import finetune_classifier
from r2mae_bio.dna.fit._linear import fit_features
from r2mae_bio.dna.fit._linear_readings import KmerFeatures
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes
from r2mae_bio.dna.sequences._features import positional_one_hot
from r2mae_bio.evaluate.methods._small_cnn import SmallCNN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy import sparse

    from r2mae_bio.dna.fit._linear import Features
    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable

__all__ = ["CONTROLS", "sequence_control"]

_CNN_BATCH = 64
"""Sequences per step of the small network."""

Control: TypeAlias = "Callable[[SequenceTable, int], NDArray[np.floating] | None]"


def sequence_control(table: SequenceTable, method: str, *, seed: int = 0) -> NDArray[np.floating] | None:
    """Probabilities of the test rows by one control.

    Parameters
    ----------
    table
        The task.
    method
        A key of :data:`CONTROLS`.
    seed
        Of the small CNN; the others draw nothing.

    Returns
    -------
    Probabilities (test rows, K), or None where the control needs sequences of one length and they
    have several.
    """
    return CONTROLS[method](table, seed)


def _linear(candidates: list[Features], *, one_length: bool = False) -> Control:
    def control(table: SequenceTable, seed: int) -> NDArray[np.floating] | None:
        if one_length and table.length is None:
            return None
        fitted, features = fit_features(table, candidates)
        return fitted.predict_proba(features(table.test))

    return control


def _majority(table: SequenceTable, seed: int) -> NDArray[np.float64]:
    shares = np.bincount(table.train.labels, minlength=len(table.classes)) / len(table.train)
    return np.tile(shares, (len(table.test), 1))


def _gc_and_length(part: LabelledSequences) -> NDArray[np.float64]:
    """Share of G and C among the known bases, its square, and the logarithm of the length."""
    rows = []
    for codes in part.codes:
        counts = np.bincount(codes, minlength=5)
        gc = counts[1:3].sum() / max(counts[:4].sum(), 1)
        rows.append((10 * gc, 10 * gc**2, np.log(len(codes))))
    return np.array(rows)


def _kmers(k: int) -> list[Features]:
    """Counts of one strand and of both: motifs may or may not have a direction."""
    return [KmerFeatures(k), KmerFeatures(k, both_strands=True)]


def _positions(part: LabelledSequences) -> sparse.csr_array:
    return positional_one_hot(np.stack(part.codes))


def _small_cnn(table: SequenceTable, seed: int) -> NDArray[np.float32]:
    n_batches = -(-len(table.train) // _CNN_BATCH)
    config = FinetuneConfig(
        n_steps=min(max(10 * n_batches, 600), 4000),
        batch_size=_CNN_BATCH,
        learning_rate=1e-3,
        encoder_rate=1.0,
        layer_decay=1.0,
        precision="float32",
        linear_reading=False,
    )
    result = finetune_classifier(SmallCNN(seed=seed), table, config=config, seed=seed)
    return predict_classes(result.network, SequenceGroups(table.test.codes), both_strands=result.both_strands)


CONTROLS: dict[str, Control] = {
    "majority": _majority,
    "GC + length": _linear([_gc_and_length]),
    "5-mer": _linear(_kmers(5)),
    "6-mer": _linear(_kmers(6)),
    "positional": _linear([_positions], one_length=True),
    "positional pairs + 4-mer": _linear([KmerFeatures(4, position_k=2)], one_length=True),
    "small CNN": _small_cnn,
}
"""Controls by name: the share of classes; logistic regressions, L2 strength (and, for k-mers, one
strand or both) picked on dev rows; a small convolutional network trained with early stopping on dev
rows.
"""
SEEDED = frozenset({"small CNN"})
"""Controls that differ between seeds."""
