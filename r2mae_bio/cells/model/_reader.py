"""The part of ``GeneMAE`` that reads and writes folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from r2mae_bio.cells.model._record import GeneRecord, blank_statistics, build_network, check_vocabulary
from r2mae_bio.cells.model._setup import Setup, choose_likelihood
from r2mae_bio.cells.network._batch_effects import BatchEffects
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.core._saved import SavedModel

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from r2mae_bio.cells.read._coverage import CoverageReport
    from r2mae_bio.cells.read._genes import GeneVocabulary
    from r2mae_bio.config import GeneConfig
    from r2mae_bio.core._checkpoint import Bundle


class SavedGeneModel(SavedModel[GeneRecord, GeneMaskedAutoencoder]):
    """State of a gene model and its way to disk."""

    _kind: ClassVar[str] = "GeneMAE"
    coverage: CoverageReport | None
    """How the genes of the last data matched."""
    _adata: AnnData | None

    @classmethod
    def load(cls, path: Path | str, adata: AnnData | None = None) -> Self:
        """Read a model that :meth:`save` wrote, or the newest checkpoint of a training run.

        Parameters
        ----------
        path
            The folder.
        adata
            Data to train on further, after :meth:`setup_anndata`; embedding needs none. Batch and
            covariates stay those of the model.

        Returns
        -------
        The model, on the CPU.

        Raises
        ------
        CheckpointError
            The folder is none of a gene model; its subclasses tell damage, a pickle, and weights of
            another vocabulary apart.
        SetupError, ConfigError
            ``adata`` was not set up, or for another kind of values, or with other covariates, than
            the model was trained on.
        """
        model = super().load(path)
        if adata is not None:
            setup = Setup.read(adata).with_covariates_of(model.record.setup)
            choose_likelihood(model.config.gene_likelihood, setup)
            model._adata, model.record.setup = adata, setup
        return model

    @property
    def vocabulary(self) -> GeneVocabulary:
        """The genes of the model."""
        return self.record.vocabulary

    @property
    def config(self) -> GeneConfig:
        """Sizes and likelihood."""
        return self.record.config

    def __repr__(self) -> str:
        config, record = self.config, self.record
        state = f"trained for {len(record.history)} epochs" if self.is_trained else "not trained"
        return (
            f"GeneMAE({len(record.vocabulary)} genes, encoder={config.encoder!r}, mask_ratio={record.law}, "
            f"gene_likelihood={config.gene_likelihood!r}, n_latent={config.n_latent}, seed={record.seed}; {state})"
        )

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> GeneRecord:
        return GeneRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: GeneRecord) -> GeneMaskedAutoencoder:
        network = build_network(blank_statistics(len(record.vocabulary)), record, seed=0)
        if record.batches:
            network.batch_effects = BatchEffects(len(record.batches), record.n_neighbourhoods, record.config.n_latent)
        return network

    def _marks(self) -> dict[str, str]:
        return {"vocabulary": self.record.vocabulary.fingerprint()}

    @classmethod
    def _check_marks(cls, record: GeneRecord, bundle: Bundle, path: Path | str) -> None:
        check_vocabulary(record.vocabulary, bundle, path)

    def _after_load(self) -> None:
        self.coverage, self._adata = None, None
