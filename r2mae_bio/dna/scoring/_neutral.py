"""What a model says of substitutions where nothing is expected of selection, by their context."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._files import whole_file
from r2mae_bio.config._form import check_form
from r2mae_bio.dna.genome._bases import decode_bases, encode_bases
from r2mae_bio.dna.scoring._contexts import LEVELS, ContextMeans, context_means, context_names, look_up
from r2mae_bio.dna.scoring._neutral_sites import SIDE, WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import DNAModel
    from r2mae_bio.dna.genome._genome import Genome

__all__ = ["NeutralExpectation"]

_FORMAT: Final = "r2mae_bio neutral expectation 1"
_FORM: Final[dict[str, Any]] = {
    "model": str,
    "genome": str,
    "context": int,
    "sites": str,
    "n_sites": int,
    "n_available": int,
    "seed": int,
    "levels": list[dict],
}
_NUMBERS: Final = [field.name for field in fields(ContextMeans)]


@dataclass(frozen=True, eq=False)
class NeutralExpectation:
    """Log-likelihood ratios of substitutions at neutral sites, by what surrounds them; made by
    :func:`r2mae_bio.tl.neutral_expectation`.

    A substitution and its complement on the other strand are one: all are told from the strand
    whose reference base is C or T.
    """

    model: str
    """Checksum of the model."""
    genome: str
    """Fingerprint of the genome."""
    context: int
    """Width of the windows that the model read, bp."""
    sites: str
    """What was taken as neutral."""
    n_sites: int
    """Sites that were scored."""
    n_available: int
    """Sites that they were drawn from."""
    seed: int
    """Seed of the draw."""
    levels: tuple[ContextMeans, ...]
    """Means for contexts of one, three and five bases."""

    @classmethod
    def of(
        cls, words: NDArray[np.uint8], alt: NDArray[np.uint8], values: NDArray[np.float64], **record: Any
    ) -> NeutralExpectation:
        """Means of scores.

        Parameters
        ----------
        words
            Codes of the sites and two bases on either side, (n, 5).
        alt
            Codes of the bases that come, (n,).
        values
            Log-likelihood ratios, nats, (n,).
        record
            The other fields.

        Returns
        -------
        The expectation.
        """
        return cls(levels=tuple(context_means(words, alt, values)), **record)

    def __repr__(self) -> str:
        return f"NeutralExpectation({self.n_sites:,} of {self.n_available:,} sites, {self.sites}; model {self.model[:12]})"

    @property
    def table(self) -> pd.DataFrame:
        """One row per context of one, three or five bases and per base that comes: ``context``,
        ``alt``, ``n`` (sites), ``mean`` and ``sd`` (of those sites, nats), ``expected`` and
        ``spread`` (the same, drawn to those of the shorter context where sites are few).
        """
        parts = []
        for width, level in zip(LEVELS, self.levels, strict=True):
            names = np.repeat(context_names(width), 4)
            alt = np.tile(list(decode_bases(np.arange(4, dtype=np.uint8))), 4**width)
            numbers = {name: getattr(level, name).reshape(-1) for name in _NUMBERS}
            table = pd.DataFrame({"context": names, "alt": alt, **numbers})
            centre = table["context"].str[width // 2]
            parts.append(table[centre.isin(["C", "T"]) & (centre != table["alt"])])
        return pd.concat(parts, ignore_index=True)

    def at(
        self, genome: Genome, contigs: NDArray[np.int64], positions: NDArray[np.int64], alt: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is expected of substitutions of a genome, by the longest context whose bases are
        known.

        Parameters
        ----------
        genome
            The genome.
        contigs
            Place in ``genome.contigs`` of each contig, (n,).
        positions
            Positions from 0, (n,).
        alt
            Codes of the bases that come, (n,).

        Returns
        -------
        Expected log-likelihood ratio and its spread, nats, both (n,).
        """
        return look_up(list(self.levels), contexts_of(genome, contigs, positions), alt)

    def check(self, genome: Genome, model: DNAModel, context: int) -> None:
        """Refuse to calibrate scores that were made in another way.

        Parameters
        ----------
        genome, model, context
            What the scores are made with.

        Raises
        ------
        ConfigError
            One of them is not that of this expectation.
        """
        pairs = {
            "the model": (self.model, model.checksum()),
            "the genome": (self.genome, genome.fingerprint()),
            "context": (self.context, context),
        }
        for what, (mine, other) in pairs.items():
            if mine != other:
                shown = [str(value)[:12] for value in (mine, other)]
                message = (
                    f"The neutral expectation was made with {what} {shown[0]}, the variants are scored with {shown[1]}; they must be the "
                    "same. Make it anew with tl.neutral_expectation(genome, model, context=...)."
                )
                raise ConfigError(message)

    def digest(self) -> str:
        """SHA-256 of all that it says, 64 hexadecimal digits.

        Returns
        -------
        The digest.
        """
        return hashlib.sha256(self._text().encode()).hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, whole or not at all; what is at ``path`` is replaced.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        The file.
        """
        file = Path(path).expanduser()
        with whole_file(file) as temporary:
            temporary.write_text(self._text())
        return file

    @classmethod
    def load(cls, path: str | Path) -> NeutralExpectation:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        An equal expectation.

        Raises
        ------
        DataError
            The file is missing, damaged or of another kind.
        """
        try:
            data = json.loads(Path(path).expanduser().read_text())
            if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
                message = "it does not say that it holds a neutral expectation"
                raise ConfigError(message)
            check_form(data, _FORM)
            levels = [_level(level, width) for level, width in zip(data.pop("levels"), LEVELS, strict=True)]
            return cls(levels=tuple(levels), **data)
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = (
                f"{path} cannot be read as a neutral expectation ({error}); make it with tl.neutral_expectation(...).save(path)."
            )
            raise DataError(message) from error

    def _text(self) -> str:
        levels = [{name: _plain(values) for name, values in vars(level).items()} for level in self.levels]
        record = {field.name: getattr(self, field.name) for field in fields(self)} | {"levels": levels}
        return json.dumps({"format": _FORMAT, **record}, allow_nan=False)


def contexts_of(genome: Genome, contigs: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Codes of sites and two bases on either side, unknown beyond the ends of a contig, (n, 5).

    Parameters
    ----------
    genome
        The genome.
    contigs, positions
        Place in ``genome.contigs`` and position from 0 of each site, both (n,).
    """
    return encode_bases(genome.windows(positions - SIDE, WIDTH, contigs=contigs, outside="N"))


def _plain(values: NDArray[Any]) -> list[Any]:
    return [None if value != value else value for value in values.reshape(-1).tolist()]


def _level(data: dict[str, Any], width: int) -> ContextMeans:
    check_form(data, dict.fromkeys(_NUMBERS, list[float | None]))
    arrays = {name: np.array(data[name], np.float64).reshape(4**width, 4) for name in _NUMBERS}
    return ContextMeans(arrays.pop("n").astype(np.int64), **arrays)
