"""What every saved model has: weights, a record, a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from r2mae_bio._errors import NotTrainedError
from r2mae_bio.model._bundle import pack, unpack, versions
from r2mae_bio.model._setup import Setup, choose_likelihood
from r2mae_bio.train import latest_checkpoint, write_folder

if TYPE_CHECKING:
    import torch
    from anndata import AnnData

    from r2mae_bio.config import GeneConfig
    from r2mae_bio.io import CoverageReport, GeneVocabulary
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.model._bundle import GeneRecord
    from r2mae_bio.nn import GeneMaskedAutoencoder
    from r2mae_bio.train import Bundle


class SavedModel:
    """State of a model and its way to disk; made by its subclasses."""

    record: GeneRecord
    network: GeneMaskedAutoencoder | None
    coverage: CoverageReport | None
    _adata: AnnData | None
    _duplicates: str

    @classmethod
    def load(cls, path: Path | str, adata: AnnData | None = None) -> Self:
        """Read a model that :meth:`save` wrote, or the newest checkpoint of a training run.

        Parameters
        ----------
        path
            The folder.
        adata
            Data to train on further, after :meth:`setup_anndata`; embedding needs none.

        Returns
        -------
        The model, on the CPU.

        Raises
        ------
        CheckpointError
            The folder is none of a model; its subclasses tell damage, a pickle, and weights of another vocabulary apart.
        SetupError, ConfigError
            ``adata`` was not set up, or for another kind of values than the model was trained on.
        """
        folder = Path(path)
        if folder.is_dir() and any(folder.glob("step_*/model.json")):
            folder = latest_checkpoint(folder)
        model = cls.__new__(cls)
        model.record, model.network = unpack(folder)
        model.coverage, model._adata, model._duplicates = None, adata, "error"
        if adata is not None:
            model.record.setup = Setup.read(adata)
            choose_likelihood(model.config.gene_likelihood, model.record.setup)
        return model

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write weights, vocabulary and configuration as safetensors and JSON into a folder.

        Parameters
        ----------
        path
            Folder to make.
        overwrite
            Replace an earlier model there.

        Returns
        -------
        The folder. It appears whole or not at all.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        CheckpointError
            The folder exists, or holds something else.
        """
        self._network()
        return write_folder(path, {"model": self._bundle(trained=self.is_trained)}, overwrite=overwrite)

    def _bundle(self, *, trained: bool) -> Bundle:
        bundle = pack(self.record, self._network())
        bundle.data["trained"] = trained
        return bundle

    def to_device(self, device: str | torch.device) -> Self:
        """Move the network.

        Parameters
        ----------
        device
            Such as ``"cpu"`` or ``"cuda"``.

        Returns
        -------
        The model itself.
        """
        self._network().to(device)
        return self

    @staticmethod
    def versions() -> dict[str, str]:
        """Versions of this package and of what its results depend on.

        Returns
        -------
        Version by name.
        """
        return versions()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self._network().parameters()).device

    @property
    def is_trained(self) -> bool:
        """Whether the weights were trained."""
        return self.record.trained

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: losses in nats per hidden gene, overall and by mask ratio, learning rate, cells per second."""
        return pd.DataFrame(self.record.history)

    @property
    def blind_loss(self) -> float:
        """Loss of predicting each gene's training mean under the validation masks, nats per hidden gene; to be beaten."""
        return self.record.blind_loss

    @property
    def vocabulary(self) -> GeneVocabulary:
        """The genes of the model."""
        return self.record.vocabulary

    @property
    def config(self) -> GeneConfig:
        """Sizes and likelihood."""
        return self.record.config

    @property
    def mask_ratio(self) -> RatioLaw:
        """Law of the mask ratio."""
        return self.record.law

    def __repr__(self) -> str:
        config, record = self.config, self.record
        state = f"trained for {len(record.history)} epochs" if self.is_trained else "not trained"
        return (
            f"GeneMAE({len(record.vocabulary)} genes, encoder={config.encoder!r}, mask_ratio={record.law}, "
            f"gene_likelihood={config.gene_likelihood!r}, n_latent={config.n_latent}, seed={record.seed}; {state})"
        )

    def _network(self) -> GeneMaskedAutoencoder:
        if self.network is None:
            message = "The model has no weights yet; call train(), or initialize() for an untrained control."
            raise NotTrainedError(message)
        return self.network
