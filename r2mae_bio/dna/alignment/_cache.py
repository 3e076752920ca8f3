"""Find the converted files of an alignment or make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from r2mae_bio._errors import ConfigError, MafError
from r2mae_bio.dna.alignment._convert import OVERLAPS, convert
from r2mae_bio.dna.alignment._index import COLUMNS, FORMAT, read_index
from r2mae_bio.dna.genome._cache import cache_key, default_cache_dir, find_or_make, writable_root
from r2mae_bio.dna.genome._index import INDEX
from r2mae_bio.dna.genome._sources import FileKind, hash_of, watch

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from r2mae_bio.dna.alignment._index import AlignmentIndex
    from r2mae_bio.dna.genome._genome import Genome

MAF: Final = FileKind("MAF file", MafError)


def open_cache(
    paths: Sequence[Path], cache_dir: str | os.PathLike[str] | None, *, reference: str, genome: Genome | None, overlaps: str
) -> tuple[Path, AlignmentIndex]:
    """Find the cache of some files, or make it.

    Parameters
    ----------
    paths
        The files; their content and order are part of the name of the cache, as everything else
        that decides on its own content.
    cache_dir
        Folder of all alignments; one beside that of the genomes if None.
    reference, genome, overlaps
        See :class:`Alignment`.

    Returns
    -------
    The folder of the cache, and its index.

    Raises
    ------
    ConfigError
        ``reference`` or ``overlaps`` cannot be used.
    MafError
        A file cannot be used.
    CacheError
        The folder cannot be written.
    """
    if overlaps not in OVERLAPS:
        message = f"overlaps={overlaps!r} is not known; needed is 'first', 'last' or 'error'."
        raise ConfigError(message)
    if not isinstance(reference, str) or not reference or any(letter.isspace() for letter in reference):
        message = f"reference={reference!r} is no species; needed is what its rows are named by, such as 'hg38' for 'hg38.chr1'."
        raise ConfigError(message)
    root = default_cache_dir().with_name("alignments") if cache_dir is None else cache_dir
    with writable_root(root, "alignment", "one byte per species and aligned base") as folder:
        check_unchanged = watch(paths, MAF)
        hashes = [hash_of(path, folder, MAF) for path in paths]
        key = cache_key("MAF", FORMAT, hashes, reference, overlaps, None if genome is None else genome.fingerprint())

        def make(temporary: Path) -> AlignmentIndex:
            index = convert(paths, temporary, reference=reference, genome=genome, overlaps=overlaps)
            check_unchanged()
            return index

        return find_or_make(folder / key, read_index, make, files=(COLUMNS, INDEX))
