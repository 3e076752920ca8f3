"""Names of contigs that a file lists as one: an assembly report of NCBI, a chromAlias of UCSC."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from r2mae_bio._errors import DataError
from r2mae_bio._lines import DAMAGE, open_lines
from r2mae_bio.dna.genome._contigs import ContigNames

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from r2mae_bio.dna.genome._contigs import Contig

_REPORT_NAMES: Final = ("Sequence-Name", "GenBank-Accn", "RefSeq-Accn", "UCSC-style-name")
"""Columns of an assembly report that name the sequence itself."""
_REPORT_LENGTH: Final = "Sequence-Length"
_NO_NAMES: Final = {"", "na"}
_SOURCES: Final = {"assembly", "ensembl", "flybase", "genbank", "insdc", "ncbi", "refseq", "ucsc", "wormbase"}
"""What the older chromAlias says of where an alias comes from, one or several by commas."""


class _Row(NamedTuple):
    names: tuple[str, ...]
    length: int | None


def read_synonyms(path: str | os.PathLike[str], contigs: Sequence[Contig]) -> dict[str, str]:
    """Further names of the contigs of a genome, from a file that has a row for each sequence.

    Parameters
    ----------
    path
        ``*_assembly_report.txt`` of NCBI, ``*.chromAlias.txt`` of UCSC, or any table with tabs
        whose rows hold names of one sequence; plain or gzip. Rows that share a name are one.
    contigs
        The contigs of the genome.

    Returns
    -------
    ``{synonym: qualified name}``; sequences that the genome does not have are left out.

    Raises
    ------
    DataError
        The file cannot be read or names no contig of the genome, two contigs are said to be one, or
        a length is not that of the contig.
    """
    rows = list(_rows(path))
    lengths = {name: row.length for row in rows for name in row.names if row.length is not None}
    genome, synonyms, n_known = _Genome(path, contigs), {}, 0
    groups = _joined([row.names for row in rows])
    for group in groups:
        contig = genome.contig_of(group, next((lengths[name] for name in group if name in lengths), None))
        if contig is not None:
            n_known += 1
            synonyms.update({name: contig.qualified for name in group if name not in genome.exact})
    if not n_known:
        shown = ", ".join(name for group in groups[:2] for name in group)
        message = f"{path} names no contig of the genome: it has {shown or 'no row'} ..., the genome {contigs[0].qualified} ..."
        raise DataError(message)
    return synonyms


class _Genome:
    """The contigs of a genome by the names that they have of themselves."""

    def __init__(self, path: str | os.PathLike[str], contigs: Sequence[Contig]) -> None:
        self._path, self._contigs = path, contigs
        self._names = ContigNames(contigs, {})
        self.exact: defaultdict[str, set[int]] = defaultdict(set)
        """Contigs of each name that stands in the genome."""
        for i, contig in enumerate(contigs):
            self.exact[contig.name].add(i)
            self.exact[contig.qualified].add(i)

    def contig_of(self, group: list[str], length: int | None) -> Contig | None:
        """The contig that a group of names belongs to, None if the genome does not have it."""
        exact = {i for name in group if name in self.exact for i in self.exact[name]}
        found = exact or {i for name in group for i in self._names.matches(name)}
        if len(found) > 1:
            several = ", ".join(sorted(self._contigs[i].qualified for i in found))
            message = (
                f"{self._path} says that {', '.join(group[:5])} are one sequence, which would make one of the contigs {several}; needed "
                "is a file of this assembly alone. Leave those rows out, or pass aliases= instead."
            )
            raise DataError(message)
        contig = next((self._contigs[i] for i in found), None)
        if contig is None or length in (None, contig.length):
            return contig
        if not exact:  # similar names of different sequences, such as the two mitochondria of hg19
            return None
        message = (
            f"{self._path} gives {', '.join(group[:5])} {length:,} bases, the genome has {contig.length:,} of {contig.qualified}: they "
            "are of different assemblies."
        )
        raise DataError(message)


def _rows(path: str | os.PathLike[str]) -> Iterator[_Row]:
    with open_lines(str(path), DataError) as stream:
        columns: list[str] | None = None
        try:
            for raw in stream:
                cells = [cell.strip() for cell in raw.decode("utf-8", "replace").split("\t")]
                if raw.startswith(b"#"):
                    cells[0] = cells[0].lstrip("# ")
                    columns = cells if cells[0] == _REPORT_NAMES[0] else columns
                elif row := _row(cells, columns):
                    yield row
        except DAMAGE as error:
            message = f"{path} is cut or damaged ({error}); copy it again."
            raise DataError(message) from error


def _row(cells: list[str], columns: list[str] | None) -> _Row | None:
    """Names and length of one line; None where it has no name."""
    length = None
    if columns is not None:
        by_column = dict(zip(columns, cells, strict=False))
        cells = [by_column.get(name, "") for name in _REPORT_NAMES]
        length = by_column.get(_REPORT_LENGTH)
    names = tuple(dict.fromkeys(c for c in cells if c not in _NO_NAMES and not set(c.split(",")) <= _SOURCES))
    return _Row(names, int(length) if length and length.isdecimal() else None) if names else None


def _joined(rows: list[tuple[str, ...]]) -> list[list[str]]:
    """Rows that share a name made one, each name once."""
    groups: dict[str, list[str]] = {}
    for names in rows:
        joined = list(dict.fromkeys(other for name in names for other in groups.get(name, [name])))
        groups.update(dict.fromkeys(joined, joined))
    return list({id(group): group for group in groups.values()}.values())
