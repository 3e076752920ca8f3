"""Models that know bases by where they stand on the genome, and not by what surrounds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import TypeIs

    from r2mae_bio.dna._protocols import PlacedModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.scoring._haplotypes import HaplotypeWindows


def is_placed(model: Any) -> TypeIs[PlacedModel]:
    """Whether a model has the member that only such models have.

    Parameters
    ----------
    model
        Any model.
    """
    return callable(getattr(model, "log_probs_at", None))


def method_asked_for(model: Any) -> str:
    """Name of the method that probabilities are asked of.

    Parameters
    ----------
    model
        Any model.
    """
    return "log_probs_at" if is_placed(model) else "log_probs"


def log_probs_of_places(
    model: PlacedModel, genome: Genome, contigs: NDArray[np.int64], places: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Log-probabilities at places, which go round on circles.

    Parameters
    ----------
    model
        The model.
    genome
        The genome.
    contigs
        Place in ``genome.contigs`` of each contig, (n,).
    places
        Places on the contigs, which may lie beyond their ends, (n,).
    known
        Whether each base has a place, (n,).

    Returns
    -------
    Natural log-probabilities of A, C, G and T, (n, 4).
    """
    size = genome.lengths[contigs]
    places = np.where(genome.is_circular[contigs], places % size, places)
    inside = known & (places >= 0) & (places < size)
    names = [genome.contigs[i] for i in contigs.tolist()]
    return np.asarray(model.log_probs_at(names, np.where(inside, places, -1)), np.float64)


def log_probs_of_windows(
    model: PlacedModel,
    genome: Genome,
    contigs: NDArray[np.int64],
    pairs: HaplotypeWindows,
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Log-probabilities at positions of the windows around alleles.

    Parameters
    ----------
    model, genome
        The model and the genome.
    contigs
        Place in ``genome.contigs`` of each allele's contig, (alleles,).
    pairs
        The windows.
    rows, positions
        Number of the window, those of the reference haplotype first, and position in it, both (n,).

    Returns
    -------
    As for :func:`log_probs_of_places`.
    """
    places, known = pairs.places(rows, positions)
    return log_probs_of_places(model, genome, contigs[rows % contigs.size], places, known)
