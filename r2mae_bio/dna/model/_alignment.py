"""The alignment that a model of DNA reads beside the bases."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._keys import as_names, first_names
from r2mae_bio.dna.alignment._alignment import Alignment
from r2mae_bio.dna.alignment._over_genome import AlignedColumns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.model._record import DNARecord


def describe_alignment(alignment: Alignment | None, species: str | Sequence[str] | None) -> dict[str, Any]:
    """What a record says of an alignment.

    Parameters
    ----------
    alignment
        What the user passed.
    species
        Names of those to read; all if None.

    Returns
    -------
    See :class:`~r2mae_bio.dna.model._record.DNARecord`; empty without an alignment.

    Raises
    ------
    ConfigError
        It is none, or the species cannot be chosen.
    """
    if alignment is None:
        if species is not None:
            message = "species were named without an alignment; needed is DNAMAE(genome, alignment=..., species=...)."
            raise ConfigError(message)
        return {}
    check_alignment(alignment)
    names = list(alignment.species if species is None else as_names(species))
    missing = [name for name in names if name not in alignment.species]
    if missing or not names or len(set(names)) < len(names):
        message = (
            f"species are {first_names(names) or 'none'}; needed are one or more different ones of those of {alignment!r}: "
            f"{', '.join(alignment.species) or 'none'}."
        )
        raise ConfigError(message)
    return {"reference": alignment.reference, "species": names, "digest": alignment.cache.name}


def check_alignment(alignment: Any) -> None:
    """Refuse what is no alignment.

    Parameters
    ----------
    alignment
        What the user passed.

    Raises
    ------
    ConfigError
        It is none.
    """
    if not isinstance(alignment, Alignment):
        message = f"alignment is a {type(alignment).__name__}; needed is an io.Alignment(maf_paths, reference=...)."
        raise ConfigError(message)


class AttachedAlignment:
    """An alignment and what a model reads of it, by the genome that it is asked about.

    Parameters
    ----------
    alignment
        The alignment; None if the model has none at hand.
    record
        Of the model.

    Raises
    ------
    SetupError
        The model reads none, or others species than these.
    """

    def __init__(self, alignment: Alignment | None, record: DNARecord) -> None:
        if alignment is not None:
            check_alignment(alignment)
            if not record.species:
                message = (
                    f"{alignment!r} was passed to a model that reads no alignment; make one by DNAMAE(genome, alignment=...)."
                )
                raise SetupError(message)
            missing = [name for name in record.species if name not in alignment.species]
            if missing:
                message = (
                    f"The model reads {len(record.species)} species, of which {alignment!r} lacks {first_names(missing)}; it has "
                    f"{first_names(alignment.species)}. Needed is an alignment with all of them, in any order."
                )
                raise SetupError(message)
        self._alignment, self._record = alignment, record
        self._last: tuple[str, AlignedColumns] | None = None

    def over(self, genome: Genome) -> AlignedColumns | None:
        """Columns over a genome, None if the model reads none.

        Parameters
        ----------
        genome
            The genome.

        Returns
        -------
        The columns.

        Raises
        ------
        SetupError
            The model reads an alignment and none is here, or it is one of another genome.
        """
        species = self._record.species
        if not species:
            return None
        if self._alignment is None:
            message = (
                f"This model reads {len(species)} species aligned to {self._record.alignment['reference']} ({first_names(species, 3)}), "
                "and no alignment is at hand; load it by DNAMAE.load(path, alignment=io.Alignment(...)). Sequences alone are read "
                "without one."
            )
            raise SetupError(message)
        key = genome.fingerprint()
        if self._last is None or self._last[0] != key:
            self._last = key, AlignedColumns(self._alignment, genome, species)
        return self._last[1]

    def mark(self, checksum: str) -> str:
        """A checksum that tells alignments apart.

        Parameters
        ----------
        checksum
            Of the model, or of data.

        Returns
        -------
        The same without an alignment, else sha256 of both.
        """
        if self._alignment is None:
            return checksum
        return hashlib.sha256(f"{checksum} {self._alignment.cache.name}".encode()).hexdigest()
