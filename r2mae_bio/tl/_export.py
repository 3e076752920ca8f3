"""``tl.export_embedding``: an embedding as a file, with cell ids and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells._export import WRITERS, write_embedding_file
from r2mae_bio.config._names import answers_misspelt

if TYPE_CHECKING:
    from anndata import AnnData


@answers_misspelt
def export_embedding(adata: AnnData, path: str | Path, *, key: str = KEYS.obsm) -> Path:
    """Write an embedding to a file whose suffix tells the format.

    Parameters
    ----------
    adata
        Holds the embedding.
    path
        ``.csv`` (cell ids in the first column, provenance in ``#`` lines on top), ``.parquet``
        (cell ids as index, provenance in the schema metadata), ``.npz`` (arrays ``embedding``
        float32, ``cells`` and ``provenance`` text), or ``.h5ad`` (cells and ``.obs`` with the
        embedding as ``X``, provenance in ``.uns``).
    key
        Key of ``.obsm``.

    Returns
    -------
    The path. The file appears whole or not at all.

    Raises
    ------
    SetupError
        There is no such embedding.
    ConfigError
        The suffix names no known format.
    """
    path = Path(path).expanduser()
    if key not in adata.obsm:
        message = f"obsm has no {key!r}; it has {', '.join(adata.obsm) or 'nothing'}. Call tl.embed(adata, model) first."
        raise SetupError(message)
    if path.suffix not in WRITERS:
        message = f"{path.name!r} ends in {path.suffix!r}; known formats are {', '.join(WRITERS)}."
        raise ConfigError(message)
    write_embedding_file(adata, key, path)
    return path
