"""Contigs of a genome and the names they are known by."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from r2mae_bio._errors import AmbiguousContigError, ConfigError, UnknownContigError
from r2mae_bio._keys import first_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Contig", "ContigNames"]

_VERSIONED: Final = re.compile(r"^([A-Za-z]{1,6}_?[A-Za-z]*\d{4,})\.\d+$")  # NC_000913.3, GL000192.1; not chr1.2
_NCBI: Final = re.compile(r"^(?:gi\|\d+\|)?(?:ref|gb|emb|dbj|tpg|tpe|tpd|lcl)\|([^|]+)\|?$")  # gi|9626243|ref|NC_001416.1|
_PREFIX: Final = re.compile(r"^chr(?=.)", re.IGNORECASE)
_N_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Contig:
    """One sequence of a genome."""

    name: str
    """Name in the file."""
    species: str
    """Species the file was given for, empty if files were given without species."""
    source: int
    """Number of the file, in the order given."""
    description: str
    """Header line after the name."""
    offset: int
    """Bases of all contigs before this one."""
    length: int
    """Bases."""
    n_acgt: int
    """A, C, G and T in either case."""
    n_unknown: int
    """N in either case."""
    n_iupac: int
    """Other IUPAC codes in either case."""
    n_soft_masked: int
    """Lower-case letters of any kind."""

    @property
    def qualified(self) -> str:
        """``species:name``, or the name alone where no species was given."""
        return f"{self.species}:{self.name}" if self.species else self.name


class Named(Protocol):
    """What the names of a contig are found by."""

    @property
    def name(self) -> str:
        """Name in the file."""
        ...

    @property
    def species(self) -> str:
        """Species, empty if there is one alone."""
        ...

    @property
    def qualified(self) -> str:
        """Name among those of all species."""
        ...


class ContigNames:
    """Finds contigs by name.

    In this order: the qualified name; a name given by the user; and within each species the exact
    name, the name with or without ``chr`` (M and MT are one), the accession with or without its
    version; that of ``gi|9626243|ref|NC_001416.1|`` is ``NC_001416.1``. Two different versions
    never match. A name that leads to contigs of several species, or to several of one, is
    ambiguous.

    Parameters
    ----------
    contigs
        The contigs of a genome, or of anything else that has them.
    aliases
        Names given by the user, each leading to a name of a contig.

    Raises
    ------
    ConfigError
        An alias is the name of another contig.
    UnknownContigError, AmbiguousContigError
        The name that an alias leads to is not that of one contig.
    """

    def __init__(self, contigs: Sequence[Named], aliases: Mapping[str, str]) -> None:
        self._contigs = contigs
        self._exact = {contig.qualified: i for i, contig in enumerate(contigs)}
        self._species: dict[str, _SpeciesNames] = defaultdict(_SpeciesNames)
        for i, contig in enumerate(contigs):
            self._species[contig.species].add(contig.name, i)
        self._exact |= {alias: self._alias(alias, name) for alias, name in aliases.items()}

    def _alias(self, alias: str, name: str) -> int:
        position = self.find(name)
        if self._exact.get(alias, position) != position:
            message = f"The alias {alias!r} for {name!r} is the name of another contig; choose one that no contig bears."
            raise ConfigError(message)
        return position

    def find(self, name: str) -> int:
        """Position of the contig that ``name`` stands for.

        Parameters
        ----------
        name
            Any of the names listed above.

        Returns
        -------
        Position from 0.

        Raises
        ------
        UnknownContigError
            There is none; the message names close ones.
        AmbiguousContigError
            There are several.
        """
        found = self.matches(name)
        if len(found) > 1:
            several = ", ".join(self._contigs[i].qualified for i in found[:_N_SHOWN])
            message = (
                f"The contig name {name!r} may stand for {several}; use one of these names, or pass aliases={{{name!r}: ...}}."
            )
            raise AmbiguousContigError(message)
        if not found:
            raise UnknownContigError(self._unknown(name))
        return found[0]

    def matches(self, name: str) -> Sequence[int]:
        """Positions of all contigs that ``name`` may stand for.

        Parameters
        ----------
        name
            Any of the names listed above.

        Returns
        -------
        One position, none, or several if the name is ambiguous.
        """
        if name in self._exact:
            return [self._exact[name]]
        species, _, bare = name.partition(":")
        if bare and species in self._species:
            return self._species[species].find(bare)
        return [i for names in self._species.values() for i in names.find(name)]

    def _unknown(self, name: str) -> str:
        qualified = {contig.name: contig.qualified for contig in self._contigs} | {known: known for known in self._exact}
        close = dict.fromkeys(qualified[known] for known in difflib.get_close_matches(name, qualified, n=3))
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        known = first_names(list(self._exact), _N_SHOWN)
        return f"There is no contig {name!r}.{hint} Known are {known}. For another name pass aliases={{{name!r}: 'a known name'}} or a file of synonyms=."


class _SpeciesNames:
    """The contigs of one species by name, by name without ``chr``, and by accession without
    version.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}
        self._by_core: dict[str, list[int]] = defaultdict(list)
        self._by_accession: dict[str, list[int]] = defaultdict(list)

    def add(self, name: str, position: int) -> None:
        self._by_name[name] = position
        self._by_core[_core(name)].append(position)
        if versioned := _VERSIONED.match(_accession(name)):
            self._by_accession[versioned[1]].append(position)

    def find(self, name: str) -> Sequence[int]:
        if name in self._by_name:
            return [self._by_name[name]]
        if found := self._by_core.get(_core(name)):
            return found
        accession = _accession(name)
        if versioned := _VERSIONED.match(accession):
            return self._by_core.get(versioned[1], [])
        return self._by_accession.get(accession, [])


def _accession(name: str) -> str:
    """What stands between the bars of an identifier of NCBI, or the name itself."""
    ncbi = _NCBI.match(name)
    return ncbi[1] if ncbi else name


def _core(name: str) -> str:
    core = _PREFIX.sub("", _accession(name))
    return "MT" if core.upper() in ("M", "MT") else core
