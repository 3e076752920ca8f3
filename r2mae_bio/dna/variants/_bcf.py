"""BCF, the binary form of VCF, read and written as the text that it stands for; pysam does it."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._errors import ConfigError, VcfError
from r2mae_bio._files import temporary_folder, whole_file
from r2mae_bio._lines import DAMAGE
from r2mae_bio.dna.variants._bcf_values import NumbersInBcf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from r2mae_bio._lines import TextSource

_MAGIC: Final = b"BCF\x02"
_END_AS_TEXT: Final = '##INFO=<ID=END,Number=1,Type=String,Description="Dummy">'
"""What htslib makes of an END that no header declares; as text it would not say where a record
ends.
"""


def load_pysam() -> Any:
    """The library, loaded when it is needed.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        import pysam
        import pysam.bcftools
    except ImportError as error:
        message = 'BCF needs pysam, which is not installed: pip install "r2mae_bio[bcf]"; or use VCF (bcftools view -Oz).'
        raise ConfigError(message) from error
    return pysam


def has_pysam() -> bool:
    """Whether it is installed."""
    try:
        load_pysam()
    except ConfigError:
        return False
    return True


def is_bcf(source: TextSource) -> bool:
    """Whether a file is BCF, by its first bytes.

    Parameters
    ----------
    source
        The file, plain or bgzip.
    """
    with source.lines() as stream:
        try:
            return stream.read(len(_MAGIC)) == _MAGIC
        except DAMAGE:  # whoever reads it says how far it is good
            return False


@contextmanager
def bcf_lines(path: Path, shown: Path, fetched: list[tuple[str, int, int]] | None = None) -> Iterator[Iterator[bytes]]:
    """Lines of the VCF file that a BCF file stands for.

    Parameters
    ----------
    path
        The file.
    shown
        What messages call it.
    fetched
        Regions, 0-based, whose records are wanted, of a file with an index; all if None.

    Yields
    ------
    Header and records, with line ends. They raise ``EOFError`` where the file is cut or damaged.

    Raises
    ------
    VcfError
        It cannot be opened.
    """
    pysam = load_pysam()
    with _in_silence(pysam):
        try:
            file = pysam.VariantFile(str(path), "rb")
        except (OSError, ValueError) as error:
            message = f"{shown} is BCF, but cannot be read ({error}); it is cut or damaged. Copy it again."
            raise VcfError(message) from error
        try:
            yield _text(file, fetched)
        finally:
            with suppress(OSError):  # a damaged file cannot even be closed
                file.close()


def bcf_contigs(path: Path) -> list[str]:
    """Names of the contigs that a BCF file declares.

    Parameters
    ----------
    path
        The file.
    """
    with load_pysam().VariantFile(str(path), "rb") as file:
        return list(file.header.contigs)


def _text(file: Any, fetched: list[tuple[str, int, int]] | None) -> Iterator[bytes]:
    for line in str(file.header).splitlines():
        yield line.encode() + b"\n"
    parts = [file] if fetched is None else (file.fetch(*region) for region in fetched)
    try:
        for part in parts:
            for record in part:
                yield str(record).encode()
    except (OSError, ValueError) as error:  # the same as for a compressed text that ends too early
        raise EOFError(str(error)) from error


def write_bcf(text: Path, path: Path) -> None:
    """Write a VCF file as BCF, whole or not at all. Contigs, filters and fields that its header
    does not declare are declared as htslib reads them, since BCF cannot be without.

    Parameters
    ----------
    text
        The VCF file.
    path
        The BCF file.

    Raises
    ------
    VcfError
        htslib does not take the records.

    Warns
    -----
    UserWarning
        Records hold numbers that BCF cannot.
    """
    pysam = load_pysam()
    _check_numbers(text)
    try:
        with _in_silence(pysam), temporary_folder(path) as folder, whole_file(path) as temporary:
            complete = _declared(pysam, text, folder / "complete.vcf")
            pysam.bcftools.view("--no-version", "-Ob", "-o", str(temporary), str(complete), catch_stdout=False)
    except (OSError, ValueError, pysam.utils.SamtoolsError) as error:
        message = (
            f"{path} cannot be written as BCF ({error}). VCF keeps records as they are, and {text} has all of them: give it a name that "
            "ends in .vcf, or begin anew with another output."
        )
        raise VcfError(message) from error


def _check_numbers(text: Path) -> None:
    with text.open("rb") as lines:
        numbers = NumbersInBcf(itertools.takewhile(lambda line: line.startswith(b"##"), lines))
        numbers.add(lines)  # the line of column names, which ended the header, is gone with it
    numbers.report()


@contextmanager
def _in_silence(pysam: Any) -> Iterator[None]:
    """Without the notes that htslib writes to standard error of indices that are not there and of
    what is declared here.
    """
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def _declared(pysam: Any, text: Path, copy: Path) -> Path:
    """The file itself, or a copy whose header declares everything."""
    with pysam.VariantFile(str(text)) as file:
        before = str(file.header)
        for _ in file:  # each record may add to the header
            pass
        after = str(file.header)
    if after == before:
        return text
    with text.open("rb") as source, copy.open("wb") as target:
        target.write(after.replace(_END_AS_TEXT, _END_AS_TEXT.replace("String", "Integer")).rstrip("\n").encode() + b"\n")
        target.writelines(line for line in source if not line.startswith(b"#"))
    return copy
