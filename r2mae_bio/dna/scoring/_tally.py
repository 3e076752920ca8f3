"""What is said of a run of scoring: before it, whether names match; after it, what was scored."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import VcfError
from r2mae_bio._keys import first_names
from r2mae_bio._warn import warn
from r2mae_bio.dna.variants._bcf_values import NumbersInBcf
from r2mae_bio.dna.variants._info import check_absent
from r2mae_bio.dna.variants._status import AlleleStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader
    from r2mae_bio.dna.variants._vcf_header import InfoField

logger = logging.getLogger("r2mae_bio")

_MANY: Final = 0.1
"""Share of alleles that are wrong in one way from which on the fault lies hardly with them ..."""
_ENOUGH: Final = 10
"""... if they are so many; fewer tell it only if they are the greater part."""


def count_records(reader: VariantReader, fields: Sequence[InfoField] = (), *, as_bcf: bool = False) -> Counter[str]:
    """Read the whole input, which also finds damage.

    Parameters
    ----------
    reader
        The input.
    fields
        INFO fields that are to be added.
    as_bcf
        Whether the records are to be written as BCF.

    Returns
    -------
    Records of each contig.

    Raises
    ------
    ConfigError
        The header declares one of the fields already.
    VcfError
        A record cannot be read, or holds one of the fields already.

    Warns
    -----
    UserWarning
        Records hold numbers that BCF cannot.
    """
    reader.header.encode(fields)
    numbers = NumbersInBcf(reader.header.meta if as_bcf else ())
    records: Counter[str] = Counter()
    for batch in reader:
        check_absent(batch, fields)
        if as_bcf:
            numbers.add(batch.lines)
        records.update(batch.chrom)
    numbers.report()
    return records


def check_contigs(records: Counter[str], lengths: Mapping[str, int | None], genome: Genome) -> None:
    """Warn of variants that belong to another genome, before any of them is scored.

    Parameters
    ----------
    records
        Records of each contig.
    lengths
        Length in bases of each contig that the header declares, None where it is silent.
    genome
        The genome.

    Warns
    -----
    UserWarning
        Many records are on contigs that the genome does not have, or contigs with records have
        other lengths in the header.
    """
    unknown = Counter({name: n for name, n in records.items() if name not in genome})
    if _is_many(unknown.total(), records.total()):
        warn(
            f"{unknown.total():,} of {records.total():,} records are on contigs that the genome does not have and get no score "
            f"(off_contig): {first_names([f'{name} ({n:,})' for name, n in unknown.most_common()])}. The genome has "
            f"{first_names(genome.contigs)}. Pass io.Genome(..., aliases={{name in the variants: name in the genome}}) or synonyms=, or another genome."
        )
    differing = []
    for name in set(records) - set(unknown):
        length, found = lengths.get(name), int(genome.lengths[genome.contig_index(name)])
        if length is not None and length != found:
            differing.append(f"{name} has {length:,} bases in the header and {found:,} in the genome")
    if differing:
        warn(f"Variants and genome seem to be of different assemblies: {first_names(sorted(differing))}.")


def check_count(found: int, expected: int) -> None:
    """Refuse an input that was read twice and was not the same.

    Parameters
    ----------
    found, expected
        Records that were scored, and that were counted before.

    Raises
    ------
    VcfError
        They differ.
    """
    if found != expected:
        message = (
            f"The variants were {expected:,} records when they were counted and {found:,} when they were scored: the file has changed "
            "meanwhile. The output was not finished; run it again with resume=False."
        )
        raise VcfError(message)


class Tally:
    """Alleles of a run by status, and an example of what is wrong with them.

    Parameters
    ----------
    genome
        The genome.
    """

    def __init__(self, genome: Genome) -> None:
        self.counts: Counter[str] = Counter()
        """Alleles of each status."""
        self.n_records = 0
        """Records that were scored."""
        self._genome = genome
        self._n_beyond = 0
        self._beyond = self._mismatch = ""

    def add(self, batch: VariantBatch, status: NDArray[np.str_]) -> None:
        """Count the alleles of some records.

        Parameters
        ----------
        batch
            The records.
        status
            Status of each allele, (alleles,).
        """
        self.n_records += batch.n_records
        self.counts.update(status.tolist())
        off = np.flatnonzero(status == str(AlleleStatus.OFF_CONTIG)).tolist()
        known = {name for name in {batch.allele_chrom[i] for i in off} if name in self._genome}
        beyond = [i for i in off if batch.allele_chrom[i] in known]
        self._n_beyond += len(beyond)
        if beyond and not self._beyond:
            self._beyond = _site(batch, beyond[0])
        mismatched = np.flatnonzero(status == str(AlleleStatus.REF_MISMATCH))
        if mismatched.size and not self._mismatch:
            self._mismatch = self._compared(batch, int(mismatched[0]))

    def _compared(self, batch: VariantBatch, i: int) -> str:
        start, ref = int(batch.allele_pos[i]) - 1, batch.allele_ref[i]
        bases = self._genome.fetch(batch.allele_chrom[i], start, start + len(ref))
        return f"{_site(batch, i)} has REF {ref[:20]}, the genome {bases[:20]}"

    def report(self) -> None:
        """Log how many alleles have each status, and warn where a run went wrong as a whole.

        Warns
        -----
        UserWarning
            No allele was scored, or many have a REF that the genome does not, or lie beyond the
            ends of their contigs.
        """
        total, n_scored = self.counts.total(), self.counts[AlleleStatus.OK]
        if not total:
            return
        summary = ", ".join(f"{n:,} {status}" for status, n in self.counts.most_common())
        logger.info("%s of %s alleles were scored: %s", f"{n_scored:,}", f"{total:,}", summary)
        n_wrong = self.counts[AlleleStatus.REF_MISMATCH]
        causes = []
        if _is_many(n_wrong, n_wrong + n_scored):
            causes.append(f"{n_wrong:,} have a REF that the genome does not (first: {self._mismatch})")
        if _is_many(self._n_beyond, total):
            causes.append(f"{self._n_beyond:,} lie beyond the ends of their contigs (first: {self._beyond})")
        if causes or not n_scored:
            reason = f" {' and '.join(causes)}: is this the assembly that the variants were called on?" if causes else ""
            warn(f"{n_scored:,} of {total:,} alleles were scored ({summary}).{reason}")


def _is_many(n: int, total: int) -> bool:
    return 2 * n > total or (n >= _ENOUGH and n >= _MANY * total)


def _site(batch: VariantBatch, i: int) -> str:
    return f"{batch.allele_chrom[i]}:{int(batch.allele_pos[i])}"
