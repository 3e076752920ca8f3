"""Values by base as bigWig and bedGraph, streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._files import whole_file
from r2mae_bio._lines import BGZF_END, compress_bgzf
from r2mae_bio.dna.tracks._tracks import as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Pieces: TypeAlias = Iterable[tuple[str, int, NDArray[np.float64]]]

BIGWIG: Final = (".bw", ".bigwig")
BEDGRAPH: Final = (".bedgraph", ".bedgraph.gz", ".bg", ".bg.gz")
_MAX_LENGTH: Final = 2**32 - 1
"""bigWig keeps positions in 32 bits."""


def check_form(path: Path, *others: str) -> str:
    """The suffix of a path, if it is that of a track.

    Parameters
    ----------
    path
        The output.
    others
        Further suffixes that are right.

    Raises
    ------
    ConfigError
        The suffix is unknown.
    SetupError
        It is that of a bigWig, and pybigtools is not installed.
    """
    forms = (*BIGWIG, *BEDGRAPH, *others)
    suffix = max((s for s in forms if path.name.lower().endswith(s)), key=len, default=None)
    if suffix is None:
        message = f"The form of {path.name} is unknown; its name must end in one of {', '.join(forms)}."
        raise ConfigError(message)
    if suffix in BIGWIG:
        _pybigtools()
    return suffix


def write_track(path: Path, lengths: Mapping[str, int], pieces: Pieces) -> None:
    """Write a track, whole or not at all.

    Parameters
    ----------
    path
        The file; its suffix says the form.
    lengths
        Bases of each contig.
    pieces
        Contig, first base from 0 and a value for each base, float64 (n,), NaN for none; sorted.

    Raises
    ------
    DataError
        No base has a value, or a contig is too long for the form.
    """
    if check_form(path) in BIGWIG:
        _write_bigwig(path, lengths, pieces)
        return
    pack = compress_bgzf if path.name.lower().endswith(".gz") else bytes
    with whole_file(path, temporary=_beside(path, "")) as temporary, temporary.open("wb") as stream:
        for chrom, start, values in pieces:
            text = "".join(f"{chrom}\t{i}\t{i + 1}\t{as_number(v)}\n" for i, v in _known(start, values))
            stream.write(pack(text.encode()))
        stream.write(BGZF_END if pack is not bytes else b"")


def _write_bigwig(path: Path, lengths: Mapping[str, int], pieces: Pieces) -> None:
    too_long = [chrom for chrom, length in lengths.items() if length > _MAX_LENGTH]
    if too_long:
        message = (
            f"The contig {too_long[0]} has {lengths[too_long[0]]:,} bases; bigWig holds up to {_MAX_LENGTH:,}. Write bedGraph."
        )
        raise DataError(message)
    rows = _Rows(pieces)
    with whole_file(path, temporary=_beside(path, ".bw")) as temporary:
        _pybigtools().open(str(temporary), "w").write(dict(lengths), iter(rows))
        rows.check(path)
        _check_readable(temporary, path, rows.n)


class _Rows:
    """Hands out values one by one. pybigtools says nothing of an error in what it iterates, but
    ends the file there, so it is kept.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces, self.n = pieces, 0
        self._error: BaseException | None = None
        self._complete = False

    def __iter__(self) -> Iterator[tuple[str, int, int, float]]:
        try:
            for chrom, start, values in self._pieces:
                for i, value in _known(start, values):
                    self.n += 1
                    yield chrom, i, i + 1, value
        except GeneratorExit:
            raise  # the reader stopped
        except BaseException as error:
            self._error = error
            raise
        self._complete = True

    def check(self, path: Path) -> None:
        if self._error is not None:
            raise self._error
        if not self.n:
            message = f"No base has a value, and {path.name} cannot be empty; needed are regions with A, C, G or T."
            raise DataError(message)
        if not self._complete:
            message = f"pybigtools stopped after {self.n:,} bases of {path.name}; needed are all. Write bedGraph, or install another version of it."
            raise DataError(message)


def _check_readable(temporary: Path, path: Path, n: int) -> None:
    """Nor does pybigtools say when it could not write, so what it wrote is read."""
    module = _pybigtools()
    try:
        with module.open(str(temporary)) as file:
            found = int(file.info()["summary"]["basesCovered"])
    except Exception as error:  # the library has many
        message = f"{path.name} was not written as a bigWig that can be read ({error}); is the disk full?"
        raise DataError(message) from error
    if found != n:
        message = f"{path.name} was written with {found:,} of {n:,} bases; is the disk full?"
        raise DataError(message)


def _known(start: int, values: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
    at = np.flatnonzero(~np.isnan(values))
    return zip((at + start).tolist(), values[at].tolist(), strict=True)


def _beside(path: Path, suffix: str) -> Path:
    """Always the same name, so that the next run replaces what a killed one left; pybigtools wants
    its suffix.
    """
    return path.with_name(f".{path.name}.tmp{suffix}")


def _pybigtools() -> Any:
    try:
        import pybigtools
    except ModuleNotFoundError as error:
        message = (
            'bigWig needs pybigtools, which is not installed: pip install "r2mae_bio[tracks]"; or write bedGraph (.bedgraph.gz).'
        )
        raise SetupError(message) from error
    return pybigtools
