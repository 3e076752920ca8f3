"""What a saved gene model knows about itself, and the network it describes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio._errors import VocabularyMismatchError
from r2mae_bio.cells.model._covariates import Covariates
from r2mae_bio.cells.model._setup import Setup
from r2mae_bio.cells.network._content import GeneStatistics
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.cells.read._genes import GeneVocabulary, check_duplicates_option
from r2mae_bio.cells.read._obs import name_text
from r2mae_bio.config import GeneConfig
from r2mae_bio.config._form import check_form
from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._seeded import seeded

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.core._checkpoint import Bundle


_UNSAID_IF_OFF = ("noise_pooling", "depth_moments", "panel_reader")
_OWN: dict[str, Any] = {
    "setup": dict[str, Any],
    "covariates": dict[str, Any],
    "vocabulary": dict[str, Any],
    "batches": list[str | float | bool],
    "n_neighbourhoods": int,
    "duplicates": str,
}
_YOUNG = ("batches", "n_neighbourhoods", "duplicates")
"""What files lack that are older than batch correction."""
_SETUP: dict[str, Any] = {
    "layer": str | None,
    "gene_likelihood": str,
    "batch_key": str | None,
    "categorical_covariate_keys": tuple[str, ...],
    "continuous_covariate_keys": tuple[str, ...],
    "labels_key": str | None,
}
"""Tuples are lists in JSON."""


@dataclass(eq=False, kw_only=True)
class GeneRecord(ModelRecord):
    """Everything of a gene model but its weights."""

    config: GeneConfig
    """Sizes and likelihood."""
    setup: Setup
    """Where the training data kept what was read."""
    covariates: Covariates
    """Categories and scales."""
    vocabulary: GeneVocabulary
    """Genes, their other names, and their training totals."""
    batches: tuple[str, ...] = ()
    """Batches whose effects the network holds, in their order."""
    n_neighbourhoods: int = 0
    """Neighbourhoods in which these effects are told apart."""
    duplicates: str = "error"
    """What to do with columns of the same gene in the training data."""

    def to_json(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_json` makes an equal record; without ``labels_key``
        where there is none, as in older files.
        """
        return {
            **super().to_json(),
            "setup": {key: value for key, value in asdict(self.setup).items() if key != "labels_key" or value is not None},
            "covariates": self.covariates.to_json(),
            "vocabulary": self.vocabulary.to_json(),
            "batches": list(self.batches),
            "n_neighbourhoods": self.n_neighbourhoods,
            "duplicates": self.duplicates,
        }

    def network_settings(self) -> dict[str, Any]:
        """The configuration; without what is off, as in files of before there was a choice."""
        settings = super().network_settings()
        return {key: value for key, value in settings.items() if key not in _UNSAID_IF_OFF or value}

    @staticmethod
    def before_there_was_a_choice() -> dict[str, Any]:
        """See :class:`ModelRecord`."""
        return {"content": "log", "noise_pooling": 0.0, "depth_moments": False, "panel_reader": False}

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        check_form(data, _OWN, optional=_YOUNG)
        check_form(data["setup"], _SETUP, optional=("labels_key",))  # older files lack it
        check_duplicates_option(data.get("duplicates", "error"))
        setup: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["setup"].items()}
        return {
            "config": GeneConfig.from_json({**cls.before_there_was_a_choice(), **data["config"]}, complete=True),
            "setup": Setup(**setup),
            "covariates": Covariates.from_json(data["covariates"]),
            "vocabulary": GeneVocabulary.from_json(data["vocabulary"]),
            "batches": tuple(map(name_text, data.get("batches", ()))),
            "n_neighbourhoods": data.get("n_neighbourhoods", 0),
            "duplicates": data.get("duplicates", "error"),
        }


def check_vocabulary(vocabulary: GeneVocabulary, bundle: Bundle, path: Path | str) -> None:
    """Refuse weights of another gene vocabulary.

    Parameters
    ----------
    vocabulary
        Of the record.
    bundle
        The weights.
    path
        Where they come from, for the message.

    Raises
    ------
    VocabularyMismatchError
        Names or number of the genes differ.
    """
    stored, n_genes = bundle.metadata.get("vocabulary"), bundle.tensors.get("content.share", torch.empty(0)).shape[0]
    if stored != vocabulary.fingerprint() or n_genes != len(vocabulary):
        message = (
            f"The weights in {path} were trained on another gene vocabulary ({n_genes} genes, {str(stored)[:12]}...) than the one "
            f"beside them ({len(vocabulary)} genes, {vocabulary.fingerprint()[:12]}...). "
            "Files of two models were mixed; copy the whole folder of one."
        )
        raise VocabularyMismatchError(message)


def blank_statistics(n_genes: int) -> GeneStatistics:
    """Statistics to build a network whose weights are loaded afterwards."""
    ones = torch.ones(n_genes)
    return GeneStatistics(ones / max(n_genes, 1), torch.zeros(n_genes), ones, 1.0)


def build_network(statistics: GeneStatistics, record: GeneRecord, *, seed: int) -> GeneMaskedAutoencoder:
    """A network with weights drawn from a seed; the global generator is left as it was.

    Parameters
    ----------
    statistics
        Of the training cells.
    record
        Configuration and covariates.
    seed
        Seed of the weights.
    """
    with seeded(seed):
        return GeneMaskedAutoencoder(statistics, record.covariates.width, record.config)
