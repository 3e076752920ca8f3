"""Models to and from the Hugging Face Hub, by files that run no code."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._errors import CheckpointError, DataError, R2MAEError
from r2mae_bio._files import whole_file
from r2mae_bio.models._card import model_card
from r2mae_bio.models._folder import load

try:
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
except ImportError as error:
    needed = f'This needs huggingface_hub, which cannot be imported ({error}): pip install "r2mae_bio[hub]".'
    raise ImportError(needed) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio.models._folder import Model

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]

_FILES: Final = ("model.json", "model.safetensors")


class _OnHub(ModelHubMixin, library_name="r2mae_bio"):
    """A model as the hub knows it: our two files, a small ``config.json`` and a card.

    ``PyTorchModelHubMixin`` would fall back to ``torch.load``, which runs what a file says.
    """

    def __init__(self, *, model: Any, card: str = "", half_precision: bool = False) -> None:
        self.model, self.card, self.half_precision = model, card, half_precision
        self._hub_mixin_config = {"library": "r2mae_bio", "kind": type(model).__name__}

    def _save_pretrained(self, save_directory: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="r2mae_bio-") as scratch:
            written = self.model.save(Path(scratch) / "model", half_precision=self.half_precision)
            for name in _FILES:
                with whole_file(save_directory / name) as temporary:
                    temporary.write_bytes((written / name).read_bytes())
        with whole_file(save_directory / "README.md") as temporary:
            temporary.write_text(self.card, encoding="utf-8")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **where: Any) -> _OnHub:
        folders = {Path(hf_hub_download(model_id, name, **where)).parent for name in _FILES}
        if len(folders) > 1:
            message = f"{model_id} changed while it was downloaded; call again, or name a revision."
            raise CheckpointError(message)
        return cls(model=load(folders.pop()))

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        return ModelCard(self.card)


def save_pretrained(model: Model, folder: str | Path, *, half_precision: bool = False, **about: Any) -> Path:
    """Write a model as the hub keeps it: weights, record, ``config.json`` and a card.

    Parameters
    ----------
    model
        A trained model of any class.
    folder
        Made if there is none; files of the same names are replaced.
    half_precision
        Matrices as float16, half the size; they are read as float32.
    about
        What the card says beside the model's own record, see :func:`model_card`.

    Returns
    -------
    The folder; :func:`from_pretrained` and :func:`load` read it.

    Raises
    ------
    NotTrainedError
        There are no weights yet.
    ConfigError
        It is no model of this package.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    card = model_card(model, **{"name": folder.name, **about})
    wrapped = _OnHub(model=model, card=card, half_precision=half_precision)
    wrapped.save_pretrained(folder)
    return folder


def push_to_hub(
    model: Model,
    repo_id: str,
    *,
    half_precision: bool = False,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    message: str = "Upload a model of r2mae_bio",
    **about: Any,
) -> str:
    """Publish a model on the hub; the repository is made if there is none.

    Parameters
    ----------
    model
        A trained model of any class.
    repo_id
        Such as ``"you/blood"``.
    half_precision
        Matrices as float16, half the size.
    private
        Whether a new repository is private; what the account is set to if None.
    token
        Of the account; the one that ``hf auth login`` has stored if None.
    revision
        Branch; the main one if None.
    message
        Of the commit.
    about
        What the card says beside the model's own record, see :func:`model_card`.

    Returns
    -------
    Address of the commit.

    Raises
    ------
    NotTrainedError
        There are no weights yet.
    ConfigError
        It is no model of this package.
    DataError
        The hub cannot be reached, or refuses.
    """
    card = model_card(model, **{"name": repo_id, **about})
    wrapped = _OnHub(model=model, card=card, half_precision=half_precision)
    with _told(f"{repo_id} could not be written on the hub"):
        return str(wrapped.push_to_hub(repo_id, private=private, token=token, branch=revision, commit_message=message))


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Model:
    """Read a model from the hub, or from a folder written by :func:`save_pretrained`.

    Nothing is unpickled, and files are compared with the checksums that were saved beside them.

    Parameters
    ----------
    source
        Name of a repository such as ``"you/blood"``, or a folder, which wins.
    revision
        Branch, tag or commit; name a commit where results are to be repeated.
    token
        Of an account that may read it; the stored one if None.
    cache_dir
        Folder for downloads; that of huggingface_hub if None.
    force_download
        Download again.
    local_files_only
        Use no network.

    Returns
    -------
    The model, on the CPU, of the class that was saved.

    Raises
    ------
    DataError
        There is no such repository, or the hub cannot be reached and the files are not in the
        cache.
    CheckpointError
        What it holds is no model of this package, or a damaged one.
    """
    if Path(source).expanduser().is_dir():
        return load(source)
    where: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
    with _told(f"{source} is no folder, and could not be read from the hub"):
        found: Any = _OnHub.from_pretrained(
            str(source), force_download=force_download, local_files_only=local_files_only, **where
        )
    model: Model = found.model
    return model


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one line what the hub, or the way to it, has refused."""
    try:
        yield
    except R2MAEError:
        raise
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        message = f"{what}: {reason}"
        raise DataError(message) from error
