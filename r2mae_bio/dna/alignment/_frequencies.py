"""The columns of an alignment as a model of DNA: bases as likely as they are in other species."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import UnknownContigError
from r2mae_bio._warn import warn
from r2mae_bio.dna.alignment._alignment import N_BASES, check_pseudo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._alignment import Alignment

__all__ = ["ColumnFrequencies"]


class ColumnFrequencies:
    """Scores bases by conservation: the probability of a base is its share among the species that
    are aligned at its position, see :meth:`Alignment.frequencies`.

    It learns nothing and reads no sequence, so it is what a model of DNA has to beat where there is
    an alignment. It goes wherever :func:`r2mae_bio.tl.score_variants` (with
    ``embedding_distance=False``) and :func:`r2mae_bio.tl.saturation_mutagenesis` take a model. An
    SNV where nothing is aligned has ``llr`` 0 and the entropy log 4, and so has every base without
    a column: an inserted one, or one on a contig that the alignment lacks, of which it warns.

    Parameters
    ----------
    alignment
        The alignment; its contigs are found by the names that the scored genome has for them. Open
        it with ``genome=``: letters that do not agree are then found before anything is scored.
    pseudo
        Added to each of the four counts, more than 0.

    Raises
    ------
    ConfigError
        ``pseudo`` cannot be used.
    """

    window = 512
    """Width of the windows that alleles are checked in, bp; none is read."""

    def __init__(self, alignment: Alignment, *, pseudo: float = 0.5) -> None:
        self._alignment, self._pseudo = alignment, check_pseudo(pseudo)
        self._missing: set[str] = set()

    def __repr__(self) -> str:
        return f"ColumnFrequencies({self._alignment!r}, pseudo={self._pseudo})"

    def checksum(self) -> str:
        """Text that tells alignments and pseudocounts apart.

        Returns
        -------
        The name of the cache of the alignment, which is a hash of its content, and the pseudocount.
        """
        return f"column frequencies of {self._alignment.cache.name}, pseudo {self._pseudo}"

    def log_probs_at(self, contigs: Sequence[str], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logarithms of the shares of A, C, G and T.

        Parameters
        ----------
        contigs
            Name of the contig of each position, n.
        positions
            From 0, (n,); a quarter each is the answer where there is no such position.

        Returns
        -------
        Nats, float32 (n, 4).

        Warns
        -----
        UserWarning
            The alignment has no such contig; once for each.
        """
        names, shares = np.asarray(contigs), np.full((len(contigs), N_BASES), 1 / N_BASES, np.float32)
        for name in dict.fromkeys(contigs):
            rows = np.flatnonzero(names == name)
            try:
                shares[rows] = self._alignment.frequencies_at(name, positions[rows], pseudo=self._pseudo)
            except UnknownContigError as error:
                self._warn_of(name, error)
        return np.log(shares)

    def _warn_of(self, name: str, error: UnknownContigError) -> None:
        if name not in self._missing:
            self._missing.add(name)
            warn(f"Nothing is aligned to the contig {name!r}, so its bases are all equally likely. {error}")
