"""A gene model as tensors and plain data, and back."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio import __version__
from r2mae_bio._errors import ConfigError, CorruptCheckpointError, DataError, VocabularyMismatchError
from r2mae_bio.config import GeneConfig
from r2mae_bio.io import GeneVocabulary
from r2mae_bio.masking import RatioLaw, ratio_law_from_json
from r2mae_bio.model._covariates import Covariates
from r2mae_bio.model._setup import Setup
from r2mae_bio.nn import GeneMaskedAutoencoder, GeneStatistics
from r2mae_bio.train import Bundle, check_intact, read_bundle

if TYPE_CHECKING:
    from pathlib import Path

_RECORDED = ("torch", "pytorch-lightning", "numpy", "anndata", "scanpy", "safetensors")


@dataclass(eq=False)
class GeneRecord:
    """Everything of a gene model but its weights."""

    config: GeneConfig
    """Sizes and likelihood."""
    law: RatioLaw
    """Law of the mask ratio."""
    seed: int
    """Seed of every random stream."""
    setup: Setup
    """Where the training data kept what was read."""
    covariates: Covariates
    """Categories and scales."""
    vocabulary: GeneVocabulary
    """Genes, their other names, and their training totals."""
    data_fingerprint: str = ""
    """sha256 of the training cells' totals."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch."""
    mask_ratios: list[int] = field(default_factory=list)
    """Rows trained on, by bin of their realised ratio."""
    blind_loss: float = float("nan")
    """Loss of predicting each gene's training mean."""
    train: dict[str, Any] = field(default_factory=dict)
    """Settings of the last training run."""
    trained: bool = False
    """Whether the weights were trained at all."""


def versions() -> dict[str, str]:
    """Versions of this package, Python and what the result depends on."""
    found = {"r2mae_bio": __version__, "python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def pack(record: GeneRecord, network: GeneMaskedAutoencoder) -> Bundle:
    """Make a bundle; nothing is shared with the model but the tensors' memory.

    Parameters
    ----------
    record, network
        The model.
    """
    data = {
        "kind": "GeneMAE",
        "versions": versions(),
        "config": record.config.to_json(),
        "law": record.law.to_json(),
        "seed": record.seed,
        "setup": asdict(record.setup),
        "covariates": record.covariates.to_json(),
        "vocabulary": record.vocabulary.to_json(),
        "data_fingerprint": record.data_fingerprint,
        "history": record.history,
        "mask_ratios": record.mask_ratios,
        "blind_loss": record.blind_loss,
        "train": record.train,
        "trained": record.trained,
    }
    return Bundle(dict(network.state_dict()), data, {"vocabulary": record.vocabulary.fingerprint(), "kind": "GeneMAE"})


def unpack(path: Path | str) -> tuple[GeneRecord, GeneMaskedAutoencoder]:
    """Read a saved gene model.

    Parameters
    ----------
    path
        Folder written by ``GeneMAE.save``.

    Raises
    ------
    VocabularyMismatchError
        Weights and vocabulary come from different models.
    CorruptCheckpointError
        A file is damaged, or weights and configuration do not fit.
    UnsafeCheckpointError
        A pickle stands in place of a file.
    """
    bundle = read_bundle(path, "model")
    try:
        record = _record(bundle.data)
    except (KeyError, TypeError, ConfigError, DataError) as error:
        message = f"{path} lacks or misstates part of a GeneMAE ({error}); it was written by another program or version."
        raise CorruptCheckpointError(message) from error
    _check_vocabulary(record.vocabulary, bundle, path)
    check_intact(bundle, path)
    network = build_network(blank_statistics(len(record.vocabulary)), record, seed=0)
    try:
        network.load_state_dict(bundle.tensors)
    except RuntimeError as error:
        message = f"The weights in {path} do not fit the configuration beside them: {error}"
        raise CorruptCheckpointError(message) from error
    return record, network.eval()


def _record(data: dict[str, Any]) -> GeneRecord:
    setup: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["setup"].items()}
    plain = ("seed", "data_fingerprint", "history", "mask_ratios", "blind_loss", "train", "trained")
    return GeneRecord(
        config=GeneConfig.from_json(data["config"]),
        law=ratio_law_from_json(data["law"]),
        setup=Setup(**setup),
        covariates=Covariates.from_json(data["covariates"]),
        vocabulary=GeneVocabulary.from_json(data["vocabulary"]),
        **{key: data[key] for key in plain},
    )


def _check_vocabulary(vocabulary: GeneVocabulary, bundle: Bundle, path: Path | str) -> None:
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
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # layers take no generator; torch.manual_seed would seed accelerators too
        return GeneMaskedAutoencoder(statistics, record.covariates.width, record.config)
