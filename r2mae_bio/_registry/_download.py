"""Downloads that are right or absent."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from r2mae_bio._errors import DataError

__all__ = ["download"]


def download(url: str, sha256: str, cache_dir: str | Path | None, *, under: str = "") -> Path:
    """A file from the network, or from the cache where an earlier call put it.

    The hash is checked before the file gets its name: what lies in the cache is complete and right.

    Parameters
    ----------
    url
        Where it comes from; the last part of its path is the name of the file.
    sha256
        Of the file, hexadecimal.
    cache_dir
        Folder for downloads; the user's cache folder if None.
    under
        Folder within it.

    Returns
    -------
    Path of the file.

    Raises
    ------
    DataError
        It cannot be had, or is another file.
    """
    import pooch

    folder = (Path(cache_dir).expanduser() if cache_dir is not None else Path(pooch.os_cache("r2mae_bio"))) / under
    name = Path(urlsplit(url).path).name
    try:
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=name, path=folder))
    except ValueError as error:  # pooch says so when the hash differs, and has removed the download
        message = f"What {url} delivered is not the expected file (SHA-256 {sha256}); nothing was kept. {error}"
        raise DataError(message) from error
    except OSError as error:  # no network, a refused connection, a full disk
        message = f"{url} could not be downloaded into {folder}: {error}. Put the file there by hand as {name!r} and call again."
        raise DataError(message) from error
