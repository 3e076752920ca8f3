"""Files of users, opened: cells, models, genomes, settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

__all__ = ["as_mapping", "as_ratio", "given", "kind_of_model", "open_cells_model", "open_genome", "open_model", "read_cells"]

FASTA: Final = (".fa", ".fasta", ".fna", ".ffn", ".fas", ".fsa")


def given(**settings: Any) -> dict[str, Any]:
    """Settings that the user gave; the others keep the defaults of the function they go to."""
    return {name: value for name, value in settings.items() if value is not None and value != []}


def read_cells(path: str) -> AnnData:
    """Cells of an h5ad file or a zarr folder, in memory.

    Raises
    ------
    DataError
        There is no such file, it is damaged, or no form of AnnData.
    """
    import anndata

    from r2mae_bio.cells.read._stored import reading

    file = Path(path).expanduser()
    if not file.exists():
        message = f"{file} does not exist; check the path."
        raise DataError(message)
    if file.suffix not in (".h5ad", ".zarr"):
        message = f"{file} ends in {file.suffix or 'no suffix'!r}; needed are cells in a file .h5ad or a folder .zarr."
        raise DataError(message)
    with reading(None, str(file)):
        return anndata.read_h5ad(file) if file.suffix == ".h5ad" else anndata.read_zarr(file)


def is_fasta(path: str) -> bool:
    """Whether a name ends as those of FASTA files do."""
    name = path.lower().removesuffix(".gz").removesuffix(".bgz")
    return name.endswith(FASTA)


def kind_of_model(model: str) -> str:
    """Name of the class of a saved or a ready-made model.

    Raises
    ------
    DataError
        There is no such folder, and no ready-made model of that name.
    """
    from r2mae_bio.models._folder import folder_of, kind_of

    return kind_of(folder_of(model))


def open_model(model: str, device: str) -> Any:
    """A model of any kind, from its folder or by its name, on a device.

    Raises
    ------
    DataError
        There is no such folder, and no ready-made model of that name.
    CheckpointError
        The folder holds no model.
    ConfigError
        There is no such device.
    """
    import torch

    from r2mae_bio import models

    opened: Any = models.load(model)
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return opened.to_device(chosen)
    except (RuntimeError, AssertionError) as error:  # torch has no common class for what it does not know or have
        message = f"device is {device!r}, which torch cannot use here ({error}); choose cpu, cuda or auto."
        raise ConfigError(message) from error


def open_cells_model(model: str, device: str) -> Any:
    """A model of cells; the message of its class says what the folder holds instead."""
    from r2mae_bio.model import GeneMAE

    return open_model(model, device) if kind_of_model(model) == "GeneMAE" else GeneMAE.load(model)


def open_genome(
    path: str,
    *,
    aliases: Sequence[str] | None = None,
    synonyms: str | None = None,
    circular: Sequence[str] | None = None,
    cache_dir: str | None = None,
) -> Any:
    """A genome, with the names that its contigs go by.

    Raises
    ------
    ConfigError
        An alias is no pair.
    """
    from r2mae_bio.io import Genome

    pairs = [text.partition("=") for text in aliases or ()]
    if any(not alias or not name for alias, _, name in pairs):
        message = f"aliases are {list(aliases or ())}; needed are pairs such as --aliases chromosome1=chr1."
        raise ConfigError(message)
    rings = "all" if list(circular or ()) == ["all"] else circular
    return Genome(
        path, **given(aliases={a: n for a, _, n in pairs} or None, synonyms=synonyms, circular=rings, cache_dir=cache_dir)
    )


def as_ratio(text: str | None) -> Any:
    """A mask ratio as on the command line: ``0.5``, ``0,1`` or ``auto``.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    if text is None or text == "auto":
        return text
    try:
        numbers = tuple(float(part) for part in text.strip("()[] ").split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2):
        message = f"mask_ratio is {text!r}; needed is a number (0.5), a pair (0,1) or auto."
        raise ConfigError(message)
    return numbers[0] if len(numbers) == 1 else numbers


def as_mapping(text: str | None, name: str) -> dict[str, Any]:
    """Settings written as YAML or JSON on the command line.

    Raises
    ------
    ConfigError
        They are no mapping.
    """
    import yaml

    try:
        found = yaml.safe_load(text or "{}")
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        message = f"{name} is {text!r}; needed are settings such as '{{n_layers: 2}}'."
        raise ConfigError(message)
    return found
