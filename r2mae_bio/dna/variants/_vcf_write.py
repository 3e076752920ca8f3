"""Writing scored variants: whole or not at all, and from where a killed run stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import refuse_existing
from r2mae_bio._runs._journal import Journal
from r2mae_bio.dna.variants._info import check_values
from r2mae_bio.dna.variants._sinks import describe, make_sink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from r2mae_bio.dna.variants._batch import VariantBatch
    from r2mae_bio.dna.variants._vcf_header import InfoField, VcfHeader

__all__ = ["VariantWriter"]


class VariantWriter:
    """Writes variants with values per allele, as VCF or as a table.

    The output has its name only when it is complete. Until then ``{path}.part`` grows beside it and
    ``{path}.part.json`` says up to where it is valid; a run that is started again with the same
    input and settings goes on from there, and its output has the same bytes as one that was never
    interrupted.

    Parameters
    ----------
    path
        ``.vcf``, ``.vcf.gz`` or ``.vcf.bgz`` (both bgzip), ``.bcf`` (needs pysam; what the header
        does not declare is declared), or ``.parquet``: one row per allele with
        the columns ``record`` and ``alt_index`` (both from 0), ``chrom``, ``pos`` (1-based),
        ``id``, ``ref``, ``alt`` and one column per field.
    header
        Header of the input, from :func:`read_variants`.
    fields
        Fields to add to INFO.
    fingerprint
        ``fingerprint()`` of the input.
    settings
        Everything that decides the values, such as the model's checksum and the batch size; JSON
        data.
    extra_header
        Further header lines, each beginning with ``##``.
    resume
        Go on with a part left by an earlier run; if false, discard it.
    overwrite
        Replace ``path`` if it exists.
    commit_seconds
        Shortest time between two states on the disk; at most this much work, and one batch, is lost
        when the process is killed.

    Raises
    ------
    ConfigError
        ``path`` exists, its suffix is unknown, the settings are not JSON data, or a field is
        declared twice.
    JournalError
        A part left by an earlier run belongs to another input or other settings, was damaged, or is
        being written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from r2mae_bio.io import InfoField, VariantWriter, read_variants
    >>> table = pd.DataFrame({"chrom": ["chr1"], "pos": [100], "ref": ["A"], "alt": ["G,T"]})
    >>> reader = read_variants(table)
    >>> path = Path("scored.vcf")
    >>> score = InfoField("SCORE", "Float", "log-likelihood ratio of ALT to REF, nats")
    >>> fingerprint = reader.fingerprint()
    >>> with VariantWriter(path, reader.header, [score], fingerprint=fingerprint) as writer:
    ...     for batch in reader.batches(skip=writer.n_records):
    ...         writer.write(batch, {"SCORE": [-1.5, float("nan")]})
    >>> path.read_text().split()[-1]
    'SCORE=-1.5,.'
    """

    def __init__(
        self,
        path: Path | str,
        header: VcfHeader,
        fields: Sequence[InfoField],
        *,
        fingerprint: str,
        settings: Mapping[str, Any] | None = None,
        extra_header: Sequence[str] = (),
        resume: bool = True,
        overwrite: bool = False,
        commit_seconds: float = 5.0,
    ) -> None:
        self.path = Path(path).expanduser()
        refuse_existing(self.path, overwrite=overwrite)
        self.fields = tuple(fields)
        self._sink = make_sink(self.path, header, self.fields, extra_header)
        identity = {"input": fingerprint, "header": describe(header, self.fields, extra_header), "settings": _plain(settings)}
        self._journal = Journal(self.path, identity, resume=resume, commit_seconds=commit_seconds, setting="resume=False")
        self._open = True
        if not self._journal.resumed:
            self._journal.write(self._sink.begin())
            self._journal.mark(0)

    @property
    def n_records(self) -> int:
        """Number of records written, those of an earlier run included; the next batch must begin
        there.
        """
        return self._journal.records

    def write(self, batch: VariantBatch, values: Mapping[str, Any]) -> None:
        """Append a batch.

        Parameters
        ----------
        batch
            The records that follow those written so far.
        values
            One array per field, (alleles,). Missing, and written as ``.`` or null, are NaN, None
            and masked entries.

        Raises
        ------
        ConfigError
            The batch does not begin at ``n_records``, or the writer is closed.
        DataError
            Values do not fit the fields or the alleles.
        VcfError
            A record holds one of the fields already.
        """
        self._check_open()
        if batch.start != self.n_records:
            message = (
                f"The batch begins at record {batch.start}; expected is {self.n_records}: use batches(skip=writer.n_records)."
            )
            raise ConfigError(message)
        self._journal.write(self._sink.rows(batch, check_values(self.fields, values, batch.n_alleles)))
        self._journal.mark(batch.n_records)

    def finish(self) -> Path:
        """Complete the file and give it its name.

        Returns
        -------
        The file.

        Raises
        ------
        ConfigError
            The writer is closed.
        """
        self._check_open()
        self._journal.commit()
        self._open = False
        self._journal.write(self._sink.end())
        self._journal.seal()
        self._sink.finish(self._journal.part, self.path)
        self._journal.discard()
        return self.path

    def close(self) -> None:
        """Stop without finishing; the part stays for the next run."""
        self._open = False
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._open:
            self.finish()
        else:
            self.close()

    def _check_open(self) -> None:
        if not self._open:
            message = f"The writer of {self.path} is closed; open another one, which goes on where this one stopped."
            raise ConfigError(message)


def _plain(settings: Mapping[str, Any] | None) -> Any:
    try:
        return json.loads(json.dumps(dict(settings or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        message = f"The settings cannot be kept as JSON ({error}); use numbers, strings, lists and dictionaries with string keys."
        raise ConfigError(message) from error
