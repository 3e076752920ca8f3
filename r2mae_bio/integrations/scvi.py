"""scVI and scANVI whose encoder sees a random part of the genes in training."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scvi
import torch
from anndata import AnnData
from scipy import sparse
from scvi.model.base import ArchesMixin
from scvi.module import SCANVAE, VAE

from r2mae_bio._errors import ConfigError
from r2mae_bio.cells.read._align import align_anndata
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._genes import GeneVocabulary
from r2mae_bio.integrations._laws import law_of
from r2mae_bio.masking._numbers import as_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.masking import RatioLaw

__all__ = ["R2SCANVI", "R2SCVI"]

_LEVELS: Final = 256
"""A ratio is rounded up or down to one part in so many, at random: one byte of noise for a gene."""


_MEASURED: Final = "r2mae_measured"
"""Column of ``.var`` that tells genes from zeros that scvi-tools filled in."""


class _SeesAPart:
    """Before a module of scvi-tools: its encoder sees some genes, and is given the mean of each of
    the others, which differs from a measured zero. Deviations from the mean are enlarged as far as
    genes are missing: with few of them a cell would else look like the average one.

    The library size is what the cell would have if all genes had been seen: its visible counts over
    the share that these genes hold of the counts of the training cells. The sum of all counts would
    tell the decoder of hidden ones.
    """

    def __init__(self: Any, *args: Any, mask_ratio: Any = (0, 1), mask_scope: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.law: RatioLaw = law_of(mask_ratio, mask_scope, ("row", "batch"))
        n_genes = int(kwargs["n_input"] if "n_input" in kwargs else args[0])  # scvi-tools 1.4.0 does not keep it
        self.register_buffer("gene_mean", torch.zeros(n_genes))
        self.register_buffer("gene_share", torch.full((n_genes,), 1 / n_genes))
        self.register_buffer("has_statistics", torch.tensor(False))
        self.measured: Tensor | None = None
        self._visible: Tensor | None = None

    def set_statistics(self: Any, counts: Any) -> None:
        """Take means and shares of the genes from the training cells (n_cells, n_genes)."""
        counts = sparse.csr_array(counts) if not sparse.issparse(counts) else counts
        wide = np.result_type(counts.dtype, np.float32)  # of bytes NumPy takes logarithms in half precision
        logs = counts.astype(wide, copy=False).log1p() if self.log_variational else counts
        mean, total = np.asarray(logs.mean(axis=0)).ravel(), np.asarray(counts.sum(axis=0)).ravel()
        self.gene_mean = torch.as_tensor(mean, dtype=torch.float32)
        self.gene_share = torch.as_tensor(total / max(total.sum(), 1e-12), dtype=torch.float32)
        self.has_statistics = torch.tensor(True)

    def _draw_visible(self: Any, x: Tensor) -> Tensor | None:
        """Genes that the encoder sees, 1 or 0 (B, G), or (1, G) where all cells agree; None for
        all. Products with numbers are many times faster than those with truth values.
        """
        visible = None if self.measured is None else self.measured.to(x.device, x.dtype)[None]
        if not self.training or not self.law.quantile(np.ones(1))[0] > 0:
            return visible
        n_cells, n_genes = x.shape  # all draws are torch's, which follow scvi.settings.seed
        draws = torch.rand(1 if self.law.shared else n_cells, dtype=torch.float64, device="cpu").numpy()
        hidden = np.floor(self.law.quantile(draws) * _LEVELS + torch.rand(n_cells, device="cpu").numpy())  # exact in the mean
        n_words = -(-x.numel() // 8)  # eight levels in each, far faster than one by one
        words = torch.randint(-(2**63), 2**63 - 1, (n_words,), device="cpu")
        levels = words.numpy().view(np.uint8)[: x.numel()].reshape(n_cells, n_genes)
        drawn = levels >= np.minimum(hidden, _LEVELS - 1).astype(np.uint8)[:, None]
        drawn[hidden >= _LEVELS] = False
        bare = np.flatnonzero(~drawn.any(1))
        drawn[bare, torch.randint(n_genes, (bare.size,), device="cpu").numpy()] = True
        found = as_numbers(torch.from_numpy(drawn), x.dtype).to(x.device)
        return found if visible is None else found * visible

    @contextmanager
    def _seeing(self: Any, x: Tensor) -> Iterator[Tensor]:
        """The counts that are seen; the encoder is given means for the others meanwhile."""
        visible = self._visible = self._draw_visible(x)
        if visible is None:
            yield x
            return
        handles = [encoder.register_forward_pre_hook(self._fill) for encoder in (self.z_encoder, self.l_encoder)]
        try:
            yield x * visible
        finally:
            for handle in handles:
                handle.remove()
            self._visible = None

    def _fill(self: Any, module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        values, visible = args[0], self._visible
        assert visible is not None  # the hook is there while it is
        n = visible.shape[-1]
        larger = n / visible.sum(-1, keepdim=True).clamp(min=1)
        genes = (values[..., :n] - self.gene_mean).mul_(visible).mul_(larger).add_(self.gene_mean)
        return (genes if n == values.shape[-1] else torch.cat([genes, values[..., n:]], -1), *args[1:])

    def _regular_inference(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> dict[str, Any]:
        with self._seeing(x) as seen:
            visible = self._visible
            found: dict[str, Any] = super()._regular_inference(seen, *args, **kwargs)  # type: ignore[misc]
        if visible is not None and self.use_observed_lib_size:
            share = (visible @ self.gene_share)[:, None].clamp(min=1e-4)
            library = torch.log(seen.sum(1, keepdim=True).clamp(min=1)) - torch.log(share)
            found["library"] = library.expand_as(found["library"])  # one more axis for several samples
        return found

    @wraps(VAE.generative)  # scvi-tools looks at its arguments
    def generative(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As in scvi-tools; a gene that was not measured is worth no log-probability."""
        found: dict[str, Any] = super().generative(*args, **kwargs)  # type: ignore[misc]
        if self.measured is not None:
            px = found["px"]
            of_all, measured = px.log_prob, self.measured
            px.log_prob = lambda value: of_all(value) * measured.to(value.device, value.dtype)
        return found

    def classify(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As in scvi-tools, of what is seen."""
        with self._seeing(x) as seen:
            found: Tensor = super().classify(seen, *args, **kwargs)  # type: ignore[misc]
        return found


class R2VAE(_SeesAPart, VAE):
    """``scvi.module.VAE`` whose encoder sees a part of the genes."""


class R2SCANVAE(_SeesAPart, SCANVAE):
    """``scvi.module.SCANVAE`` whose encoder sees a part of the genes."""


class _KnowsItsGenes:
    """Before a model of scvi-tools: data of any genes, in any order, are read by their names.

    Genes of the model that the data lack are hidden from the encoder. Expected expression, tests
    and predictions go by the genes of the model.
    """

    r2mae_genes_: tuple[str, ...] | None = None
    """Names of the genes, once trained; scvi-tools saves what ends in an underscore."""
    _aligned_id: str | None = None

    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        """As in scvi-tools.

        Parameters
        ----------
        args, kwargs
            As in scvi-tools. Validation and early stopping see all genes.

        Raises
        ------
        ConfigError
            The model has no cells, or was loaded with cells of other genes, or in another order.
        """
        module, adata = self.module, self.adata
        if module is None or adata is None:
            message = "Means of the genes are taken from the training cells; make the model from an AnnData that was set up."
            raise ConfigError(message)
        if self._differs(adata):
            message = (
                "The cells have other genes than the model, or in another order, and training goes by position. Load the model with "
                f"adata[:, model.r2mae_genes_].copy(), or, of a query that lacks genes, with {type(self).__name__}"
                ".prepare_query_anndata(adata, reference, inplace=False)."
            )
            raise ConfigError(message)
        module.measured = _measured(adata)
        if not module.has_statistics:  # a query is read by the means of its reference
            module.set_statistics(self.adata_manager.get_from_registry("X"))
        self.r2mae_genes_ = tuple(map(str, adata.var_names))
        return super().train(*args, **kwargs)  # type: ignore[misc]

    @staticmethod
    def prepare_query_anndata(
        adata: AnnData,
        reference_model: Any,
        return_reference_var_names: bool = False,  # noqa: FBT001, FBT002 - the order of scvi-tools
        inplace: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        """As in scvi-tools, which fills genes that a query lacks with zeros; that they are none is
        written beside them, and heeded: they are hidden from the encoder, and in no loss.

        Parameters
        ----------
        adata, reference_model, return_reference_var_names, inplace
            As in scvi-tools.

        Returns
        -------
        As in scvi-tools. ``.var["r2mae_measured"]`` (bool) says which genes were measured.
        """
        known = set(adata.var_names if _MEASURED not in adata.var else adata.var_names[adata.var[_MEASURED].to_numpy(bool)])
        made = ArchesMixin.prepare_query_anndata(adata, reference_model, return_reference_var_names, inplace)
        if not return_reference_var_names:
            query = adata if inplace else made
            query.var[_MEASURED] = query.var_names.isin(known)
        return made

    def _validate_anndata(self: Any, adata: AnnData | None = None, *args: Any, **kwargs: Any) -> Any:
        """What every verb of scvi-tools asks of its data; here they are aligned first."""
        module, names = self.module, self.r2mae_genes_
        adata = self.adata if adata is None else adata  # the model may have been loaded with permuted genes
        told = None if adata is None else _measured(adata)
        if module is not None:
            module.measured = told
        if names is None or not self._differs(adata):
            return super()._validate_anndata(adata, *args, **kwargs)  # type: ignore[misc]
        aligned, measured = self._aligned(adata if told is None else adata[:, told.numpy()], names)
        kept = self._per_instance_manager_store.get(self.id, {})
        kept.pop(self._aligned_id, None)  # with its cells it would be kept for ever
        found = super()._validate_anndata(aligned, *args, **kwargs)  # type: ignore[misc]
        self._aligned_id = self.get_anndata_manager(aligned).adata_uuid
        module.measured = torch.from_numpy(measured)
        return found

    def _differs(self: Any, adata: AnnData | None) -> bool:
        """Whether cells have other genes than those that the model was trained on, or in another
        order.
        """
        return not (adata is None or self.r2mae_genes_ is None or tuple(map(str, adata.var_names)) == self.r2mae_genes_)

    def _aligned(self: Any, adata: AnnData, names: tuple[str, ...]) -> tuple[AnnData, NDArray[np.bool_]]:
        totals = self.module.gene_share.double().cpu().numpy()
        alignment = align_anndata(GeneVocabulary(names, {}, totals), adata)
        if alignment.panels is not None:
            message = "The cells were measured by several panels; pass those of one panel at a time, as adata[adata.obs[key] == panel].copy()."
            raise ConfigError(message)
        layer = self.registry["setup_args"]["layer"]
        rows = open_cells(adata, layer=layer, alignment=alignment).rows(np.arange(adata.n_obs))
        matrix = sparse.csr_matrix((rows.values, rows.genes, rows.indptr), (adata.n_obs, rows.n_genes))
        made = AnnData(matrix, obs=adata.obs.copy())
        made.var_names = list(names)
        if layer is not None:
            made.layers[layer] = made.X
        return made, alignment.measured


def _measured(adata: AnnData) -> Tensor | None:
    """Which genes were measured in prepared cells, (n_genes,); None for all."""
    if _MEASURED not in adata.var or adata.var[_MEASURED].all():
        return None
    return torch.from_numpy(adata.var[_MEASURED].to_numpy(bool))


class R2SCVI(_KnowsItsGenes, scvi.model.SCVI):
    """``scvi.model.SCVI`` whose encoder sees a random part of the genes in training.

    Its decoder predicts all of them, from the visible ones, at a library size that these give. All
    that scvi-tools does with a model works: ``save`` and ``load``, mapping of queries, differential
    expression. Cells of a panel are embedded with the missing genes hidden, not zero, and scored by
    the others alone, whatever the order of their columns; too few genes are refused.

    Parameters
    ----------
    adata
        After ``R2SCVI.setup_anndata``, as in scvi-tools.
    kwargs
        As for ``scvi.model.SCVI``, and

        - ``mask_ratio``: share of the genes to hide: a number (0 is ``scvi.model.SCVI``), a pair
          (uniform; R2MAE is ``(0, 1)``, the default) or a law of :mod:`r2mae_bio.masking`;
        - ``mask_scope``: one ratio for each ``"row"`` or for a ``"batch"``. Of a law its own scope
          if None, else ``"row"``.

    Examples
    --------
    >>> from r2mae_bio.integrations.scvi import R2SCVI
    >>> R2SCVI.setup_anndata(adata, layer="counts")  # doctest: +SKIP
    >>> model = R2SCVI(adata, mask_ratio=(0, 1))  # doctest: +SKIP
    >>> model.train()  # doctest: +SKIP
    >>> panel.obsm["X"] = model.get_latent_representation(panel)  # doctest: +SKIP
    """

    _module_cls = R2VAE


class R2SCANVI(_KnowsItsGenes, scvi.model.SCANVI):
    """``scvi.model.SCANVI`` whose encoder sees a random part of the genes in training; see
    :class:`R2SCVI`, of which ``from_scvi_model`` makes one.

    Parameters
    ----------
    adata
        After ``R2SCANVI.setup_anndata``, as in scvi-tools.
    kwargs
        As for ``scvi.model.SCANVI``, and ``mask_ratio`` and ``mask_scope``.
    """

    _module_cls = R2SCANVAE
