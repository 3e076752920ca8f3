"""The values of alleles, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio.dna._aligned import columns_over
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases
from r2mae_bio.dna.scoring._haplotypes import haplotype_windows
from r2mae_bio.dna.scoring._masked import draw_masks, masked_ratios
from r2mae_bio.dna.scoring._placed import is_placed, log_probs_of_windows
from r2mae_bio.dna.scoring._pseudo_likelihood import read_windows, unique_windows
from r2mae_bio.dna.variants._alleles import AlleleKind, kind_of
from r2mae_bio.dna.variants._status import AlleleStatus, classify_alleles
from r2mae_bio.dna.variants._vcf_header import InfoField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import PlacedModel, VariantModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.genome._reference import GenomeReference
    from r2mae_bio.dna.scoring._haplotypes import HaplotypeWindows
    from r2mae_bio.dna.scoring._settings import ScoreSettings
    from r2mae_bio.dna.variants._alleles import MinimalChange
    from r2mae_bio.dna.variants._batch import VariantBatch

_DISTANCE: Final = "embedding_distance"
_CALIBRATED: Final = "calibrated_llr"
_MASKED: Final = ("masked_llr", "masked_llr_sd")
_MEANINGS: Final = {
    "kind": ("String", "Kind of the allele: snv, mnv, insertion, deletion, complex, identical or symbolic"),
    "status": ("String", "ok, or why the allele was not scored: symbolic, off_contig, too_long, ambiguous_base, ref_mismatch"),
    "llr": (
        "Float",
        "Log-likelihood of ALT minus that of REF, nats; SNV: of the hidden base; others: mean over the hidden bases at and around the "
        "change; negative where the model expects REF",
    ),
    "abs_llr": ("Float", "Absolute value of the log-likelihood ratio, nats"),
    "p_ref": ("Float", "Probability of the reference base, hidden; SNV only"),
    "p_alt": ("Float", "Probability of the alternative base, hidden; SNV only"),
    "entropy": ("Float", "Entropy of the four probabilities of the hidden base, nats; SNV only"),
    _DISTANCE: ("Float", "Euclidean distance between the mean states of the reference and of the alternative window"),
    _CALIBRATED: (
        "Float",
        "Log-likelihood ratio minus its mean at neutral sites for the same substitution in the same pentanucleotide, nats; SNV only",
    ),
    _MASKED[0]: ("Float", "Mean log-likelihood ratio, nats, with random parts of the context hidden as well; SNV only"),
    _MASKED[1]: ("Float", "Standard deviation of the log-likelihood ratio over these random masks, nats; SNV only"),
}
NUMBERS: Final = ("llr", "abs_llr", "p_ref", "p_alt", "entropy", _DISTANCE, _CALIBRATED, *_MASKED)
"""Values of type float32, in the order in which they are written; the last four on request."""


def _left_out(settings: ScoreSettings) -> set[str]:
    """Values that are not asked for."""
    asked = {_DISTANCE: settings.embedding_distance, _CALIBRATED: settings.neutral is not None}
    asked |= dict.fromkeys(_MASKED, bool(settings.n_masks))
    return {name for name, wanted in asked.items() if not wanted}


def value_fields(settings: ScoreSettings, *, prefix: str | None) -> list[InfoField]:
    """What is written of each allele.

    Parameters
    ----------
    settings
        How alleles are scored.
    prefix
        For the INFO column of VCF, what its names begin with (``R2MAE_LLR``); None for those of a
        table (``llr``).

    Returns
    -------
    The fields.

    Raises
    ------
    ConfigError
        No field can be named so.
    """
    names = [name for name in _MEANINGS if name not in _left_out(settings)]
    return [InfoField(name if prefix is None else f"{prefix}_{name.upper()}", *_MEANINGS[name]) for name in names]


def score_batch(
    batch: VariantBatch, genome: Genome, reference: GenomeReference, model: VariantModel | PlacedModel, settings: ScoreSettings
) -> dict[str, NDArray[Any]]:
    """Score the alleles of some records.

    Parameters
    ----------
    batch
        The records.
    genome, reference
        The genome, and the same in the form in which alleles are checked.
    model
        The model.
    settings
        How alleles are scored.

    Returns
    -------
    The values by name, each (alleles,): text for kind and status, float32 for the rest, NaN where
    missing.
    """
    status = classify_alleles(
        batch,
        reference.fetch,
        contig_lengths=reference.contig_lengths,
        max_length=settings.max_length,
        reference_bases=reference.bases,
    )
    kind = np.array([str(kind_of(change)) for change in batch.changes])
    numbers = {name: np.full(batch.n_alleles, np.nan, np.float32) for name in NUMBERS}
    usable = status == str(AlleleStatus.OK)
    same = usable & (kind == str(AlleleKind.IDENTICAL))
    for name in ("llr", "abs_llr", _DISTANCE):
        numbers[name][same] = 0.0
    scored = np.flatnonzero(usable & ~same)
    if scored.size:
        _score(batch, scored, genome, model, settings, numbers)
    return {"kind": kind, "status": status, **{name: numbers[name] for name in NUMBERS if name not in _left_out(settings)}}


def _score(
    batch: VariantBatch,
    alleles: NDArray[np.int64],
    genome: Genome,
    model: VariantModel | PlacedModel,
    settings: ScoreSettings,
    numbers: dict[str, NDArray[np.float32]],
) -> None:
    changes = [batch.changes[i] for i in alleles.tolist()]
    contigs = np.array([genome.contig_index(batch.allele_chrom[i]) for i in alleles.tolist()], np.int64)
    pairs = haplotype_windows(genome, contigs, changes, context=settings.context, flank=settings.flank)
    asked = _Asked.of(pairs, changes)
    found = _values(asked, genome, contigs, pairs, model, settings)
    if settings.neutral is not None:
        positions = np.array([changes[i].start for i in asked.one.tolist()], np.int64)
        expected, _ = settings.neutral.at(genome, contigs[asked.one], positions, asked.inserted())
        found[_CALIBRATED] = asked.spread(found["llr"][asked.one] - expected)
    for name, values in found.items():
        numbers[name][alleles] = values


@dataclass(frozen=True, eq=False)
class _Asked:
    """What has to be known of the windows around alleles."""

    changes: list[MinimalChange]
    """What each allele changes, (alleles,)."""
    one: NDArray[np.int64]
    """Alleles that replace a single base; of them the reference window alone is read: with the base
    hidden, the alternative one is the same.
    """
    more: NDArray[np.int64]
    """All others."""
    windows: NDArray[np.int64]
    """Window of each position to hide, first those of ``one``; those of the reference haplotype are
    numbered first.
    """
    positions: NDArray[np.int64]
    """The positions in them."""
    owners: NDArray[np.int64]
    """Haplotype that each position of ``more`` belongs to, reference ones first."""

    @classmethod
    def of(cls, pairs: HaplotypeWindows, changes: list[MinimalChange]) -> _Asked:
        """What the scores of these alleles need."""
        n = len(changes)
        single = np.array([len(change.removed) == len(change.inserted) == 1 for change in changes])
        one, more = np.flatnonzero(single), np.flatnonzero(~single)
        owners, windows, positions = _positions(pairs.scored[:, more], np.stack([more, n + more]))
        return cls(
            changes, one, more, np.concatenate([one, windows]), np.concatenate([pairs.scored[0, one, 0], positions]), owners
        )

    def inserted(self) -> NDArray[np.uint8]:
        """The bases that come in ``one``."""
        return encode_bases("".join(self.changes[i].inserted for i in self.one.tolist()))

    def removed(self) -> NDArray[np.uint8]:
        """The bases that go in ``one``."""
        return encode_bases("".join(self.changes[i].removed for i in self.one.tolist()))

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of ``one`` among those of all alleles, the others missing, (..., alleles)."""
        found = np.full((*values.shape[:-1], len(self.changes)), np.nan)
        found[..., self.one] = values
        return found


def _values(
    asked: _Asked,
    genome: Genome,
    contigs: NDArray[np.int64],
    pairs: HaplotypeWindows,
    model: VariantModel | PlacedModel,
    settings: ScoreSettings,
) -> dict[str, NDArray[np.float64]]:
    """All values of alleles, each (alleles,)."""
    bases = pairs.codes.reshape(-1, settings.context)
    if is_placed(model):  # windows that read the same are not the same to it, and it has no states
        log_probs = log_probs_of_windows(model, genome, contigs, pairs, asked.windows, asked.positions)
        return _likelihoods(log_probs, bases, asked)
    columns = columns_over(model, genome)
    codes = bases if columns is None else pairs.with_columns(columns, contigs).reshape(*bases.shape, -1)
    n = len(asked.changes)
    needed = np.concatenate([np.arange(n), n + asked.more])
    windows, which = unique_windows(codes[needed])
    number = np.zeros(2 * n, np.int64)
    number[needed] = which
    distance = settings.embedding_distance
    found = read_windows(
        model,
        windows,
        hidden=(number[asked.windows], asked.positions),
        other=(number[asked.one], pairs.scored[0, asked.one, 0], asked.inserted()) if distance else None,
        means=distance,
        batch_size=settings.batch_size,
    )
    values = _likelihoods(found.log_probs.astype(np.float64), bases, asked)
    if distance:
        means = found.means.astype(np.float64)
        difference = means[number[n:]] - means[number[:n]]
        difference[asked.one] = found.other_means - means[number[asked.one]]
        values[_DISTANCE] = np.linalg.norm(difference, axis=1)
    if settings.mask_ratio is not None:
        masks = draw_masks(settings.n_masks, settings.context, settings.mask_ratio)
        at, bases_of_one = pairs.scored[0, asked.one, 0], (asked.removed(), asked.inserted())
        ratios = masked_ratios(model, codes[asked.one], at, bases_of_one, masks, batch_size=settings.batch_size)
        values |= dict(zip(_MASKED, asked.spread(np.stack([ratios.mean(axis=0), ratios.std(axis=0)])), strict=True))
    return values


def _likelihoods(log_probs: NDArray[np.float64], codes: NDArray[np.uint8], asked: _Asked) -> dict[str, NDArray[np.float64]]:
    """All values but the distance, each (alleles,), from the log-probabilities that were asked for,
    (n, 4).
    """
    one, more = asked.one, asked.more
    values = {
        name: asked.spread(of_one)
        for name, of_one in _of_one_base(log_probs[: one.size], asked.removed(), asked.inserted()).items()
    }
    bases = codes[asked.windows[one.size :], asked.positions[one.size :]]
    values["llr"][more] = _of_more_bases(log_probs[one.size :], bases, asked.owners, more.size)
    values["abs_llr"] = np.abs(values["llr"])
    return values


def _of_one_base(
    log_probs: NDArray[np.float64], removed: NDArray[np.uint8], inserted: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Values of single bases from the log-probabilities where they are hidden, (n, 4)."""
    each = np.arange(len(removed))
    ref, alt = log_probs[each, removed], log_probs[each, inserted]
    probs = np.exp(log_probs)
    # a probability of zero adds nothing, though its logarithm is not finite
    entropy = -np.sum(np.where(probs > 0, probs * log_probs, 0.0), axis=1, where=probs > 0)
    return {"llr": alt - ref, "p_ref": np.exp(ref), "p_alt": np.exp(alt), "entropy": entropy}


def _positions(
    scored: NDArray[np.int64], which: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions to hide one at a time: the haplotype each belongs to (reference ones first), its
    window, its place in the window.
    """
    first, end = scored.reshape(-1, 2).T
    count = end - first
    owners = np.repeat(np.arange(count.size), count)
    within = np.arange(owners.size) - np.repeat(np.cumsum(count) - count, count)
    return owners, which.reshape(-1)[owners], first[owners] + within


def _of_more_bases(
    log_probs: NDArray[np.float64], bases: NDArray[np.uint8], owners: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Mean log-probability of the known bases in the alternative haplotype minus that in the
    reference, (n,); NaN where none is known.
    """
    known = bases < UNKNOWN
    total = np.bincount(owners[known], log_probs[known, bases[known]], 2 * n)
    count = np.bincount(owners[known], minlength=2 * n)
    mean = np.divide(total, count, out=np.full(2 * n, np.nan), where=count > 0)
    return mean[n:] - mean[:n]
