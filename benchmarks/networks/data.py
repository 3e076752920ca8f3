"""The data: handwritten digits, and blood cells embedded in scanpy or, where it is found, in the
shared folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf

from benchmarks.networks.masks import test_masks
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 10.0
"""Standardised expression is clipped here, as in ``scanpy.pp.scale(max_value=10)``: single counts
of rare genes would rule the mean square.
"""
LEAST_INK = 0.05
"""Pixels with ink in fewer digits than this are shown to no learner: standardised, they are
outliers and nothing else.
"""


@dataclass(frozen=True, eq=False)
class Data:
    """A data set with its fixed test rows; training rows are drawn from the pool by seed."""

    name: str
    values: torch.Tensor
    """Standardised features, float32 (rows, d)."""
    test: NDArray[np.int64]
    validation: NDArray[np.int64]
    pool: NDArray[np.int64]
    sizes: tuple[int, int]
    """Numbers of training rows."""
    pixels: NDArray[np.int64] | None = None
    """Position of each feature in an 8 x 8 image."""
    counts: NDArray[np.float32] | None = None
    """Raw counts of the same rows and features."""
    labels: NDArray[np.str_] | None = None
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    """Test masks, from :func:`test_masks`."""
    truth: NDArray[np.float64] | None = None
    """True correlation of the features (d, d), where it is known."""

    @property
    def n_features(self) -> int:
        return self.values.shape[1]

    def training_rows(self, n: int, seed: int) -> NDArray[np.int64]:
        """The first n of a permutation of the pool: the smaller set is part of the larger one."""
        return self.pool[derive_generator(seed, "training-rows").permutation(self.pool.size)[:n]]


def digits(sizes: tuple[int, int] = (100, 1000)) -> Data:
    """1,797 images of 64 pixels from scikit-learn."""
    from sklearn.datasets import load_digits

    images = load_digits().data
    pixels = np.flatnonzero((images > 0).mean(0) >= LEAST_INK)
    return _split("digits", images[:, pixels], sizes, n_test=500, n_validation=150, pixels=pixels)


def pbmc68k(n_genes: int = 200, sizes: tuple[int, int] = (120, 450)) -> Data:
    """700 blood cells."""
    import r2mae_bio.datasets

    adata = r2mae_bio.datasets.pbmc68k()
    counts = adata.layers["counts"].toarray()
    return _genes("pbmc68k", counts, adata.obs["bulk_labels"], n_genes, sizes, n_test=180, n_validation=60)


def zheng(n_genes: int = 500, sizes: tuple[int, int] = (300, 2000)) -> Data | None:
    """3,500 sorted blood cells of the shared folder; None where there is no such file."""
    import anndata

    folder = Path(os.environ.get("R2MAE_BIO_DATA", Path(__file__).parents[4] / "shared" / "data")).expanduser()
    found = sorted(folder.rglob("pbmc_zheng_sorted_3500.h5ad"))
    if not found:
        return None
    adata = anndata.read_h5ad(found[0])
    counts = adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)
    return _genes("zheng3500", counts, adata.obs["cell_type"], n_genes, sizes, n_test=1000, n_validation=200)


def gaussian(data: Data | None) -> Data | None:
    """Gaussian rows with the correlation of another data set, the same split and masks: what is
    left of a misfit on them is not the data's shape.
    """
    if data is None:
        return None
    truth = correlation(data.values[data.pool].double().numpy())
    noise = derive_generator(0, "gaussian-rows").standard_normal(data.values.shape)
    values = torch.from_numpy((noise @ np.linalg.cholesky(truth).T).astype(np.float32))
    return Data(f"{data.name}_gaussian", values, data.test, data.validation, data.pool, data.sizes, masks=data.masks, truth=truth)


def correlation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ledoit-Wolf covariance brought to unit diagonal (d, d)."""
    covariance = ledoit_wolf(values)[0]
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def _genes(name: str, counts: np.ndarray, labels, n_genes: int, sizes: tuple[int, int], **split: int) -> Data:
    counts = counts.astype(np.float32)
    depth = counts.sum(1, keepdims=True)
    expression = np.log1p(counts / depth * np.median(depth))
    pool = _order(len(counts), split["n_test"] + split["n_validation"])[1]
    genes = np.sort(np.argsort(-expression[pool].var(0), kind="stable")[:n_genes])
    return _split(
        name, expression[:, genes], sizes, clip=LARGEST, counts=counts[:, genes], labels=np.asarray(labels, str), **split
    )


def _order(n_rows: int, n_held_out: int) -> tuple[np.ndarray, np.ndarray]:
    order = derive_generator(0, "held-out-rows").permutation(n_rows)
    return order[:n_held_out], order[n_held_out:]


def _split(
    name: str, values: np.ndarray, sizes: tuple[int, int], *, n_test: int, n_validation: int, clip: float = np.inf, **more
) -> Data:
    held, pool = _order(len(values), n_test + n_validation)
    scaled = np.clip((values - values[pool].mean(0)) / values[pool].std(0), -clip, clip)
    scaled = (scaled - scaled[pool].mean(0)) / scaled[pool].std(0)
    masks = test_masks(n_test, values.shape[1])
    tensor = torch.from_numpy(scaled.astype(np.float32))
    return Data(name, tensor, held[:n_test], held[n_test:], pool, sizes, masks=masks, **more)
