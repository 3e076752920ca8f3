"""``tl.attribute``: the genes that the embedding of a group of cells rests on, into ``.varm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.explain._attribution import attribute_contrasts
from r2mae_bio.cells.explain._contrasts import REST, contrast_groups
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._align import spread_over_columns
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._uns import add_entry, check_file_key
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

    from r2mae_bio.cells.explain._attribution import Attribution
    from r2mae_bio.cells.explain._contrasts import GroupContrasts

_STEPS: Final = 16


@answers_misspelt
def attribute(
    adata: AnnData,
    model: GeneMAE | str | Path,
    *,
    groupby: str,
    groups: str | Sequence[str] | None = None,
    reference: str = REST,
    method: str = "means",
    n_cells: int = 200,
    layer: str | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    key_added: str = "r2mae_attribution",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Say which genes the embedding of a group of cells rests on.

    For every group, the direction of the embedding is taken that separates it from the reference; a
    cell's score is its product with the cell's embedding. Integrated gradients along the straight
    line from the average cell to the cell then divide the score among the genes that the encoder
    read. What is kept is the mean contribution of a gene over the cells of the group less that over
    the reference: contributions add up to the distance between the two, in standard deviations of
    the score within groups. A positive contribution draws the group away from the reference, be it
    by what is expressed there or by what is missing.

    This describes what the model reads, not which genes differ: of two genes that say the same the
    model may read one. A whitened direction also uses genes to cancel what other groups share with
    this one, so a marker may count against its own group; ``method="means"`` does so less. The
    embedding is taken as the encoder gives it, before batches are taken out.

    Parameters
    ----------
    adata
        Cells with raw counts.
    model
        A model, or the folder of a saved one.
    groupby
        Column of ``.obs`` with the groups; cells without one are left out.
    groups
        The groups to explain; all if None.
    reference
        A group to compare with, or ``"rest"``: all cells of other groups.
    method
        How the direction is found. ``"means"``: the difference of the mean embeddings. ``"lda"``:
        the same, whitened by the covariance within groups, which is sharper but turns some genes
        against the group that has them.
    n_cells
        Cells to draw from each group, and from each rest; all where there are fewer.
    layer
        Layer of raw counts; see :meth:`GeneMAE.get_latent_representation`.
    duplicates
        What to do with several columns of one gene: ``"error"`` refuses them, ``"sum"`` adds them
        up, and each gets the contribution of the gene.
    min_coverage
        Smallest share of the model's genes that must be measured.
    key_added
        Key of ``.varm``.
    seed
        Seed of the draw.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.varm[key_added]`` (float32, (n_vars, n_groups); NaN for genes
    that the model does not know or that were not measured), ``.uns["r2mae"]["coverage"]`` and
    ``.uns["r2mae"]["attribution"][key_added]``, a dict of

    - ``groups`` (str, (n_groups,)): the columns of ``.varm[key_added]``;
    - ``difference`` (float64, (n_groups,)): mean score of the group less that of the reference, in
      standard deviations within groups;
    - ``completeness_error`` (float64, (n_groups,)): by how much the contributions miss that
      difference;
    - ``direction`` (float32, (n_groups, n_latent)): a cell's score is the product of its embedding,
      batches not taken out, with its group's;
    - ``n_cells`` and ``n_reference`` (int64, (n_groups,)): cells that were averaged;
    - ``groupby``, ``reference``, ``method``, ``layer``, ``vocabulary``, ``data_fingerprint`` (str),
      ``seed`` and ``steps`` (int).

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError
        There is no such group, method or number of cells.
    CountsError, DataError, GeneIdentityError, SetupError
        The data cannot be used, the column is missing, or a group has fewer than two cells; nothing
        is written.

    Examples
    --------
    >>> import pandas as pd
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> model = rb.tl.pretrain(adata, layer="counts", max_epochs=1, progress_bar=False)
    >>> rb.tl.attribute(adata, model, groupby="bulk_labels", groups=["CD19+ B"], n_cells=50)
    >>> groups = adata.uns["r2mae"]["attribution"]["r2mae_attribution"]["groups"]
    >>> table = pd.DataFrame(adata.varm["r2mae_attribution"], index=adata.var_names, columns=groups)
    >>> list(table["CD19+ B"].nlargest(1).index)
    ['CD79A']
    """
    check_file_key(key_added)
    model = open_model(model, GeneMAE, what="model of cells")
    network = model._network().eval()
    drawn = contrast_groups(adata, groupby=groupby, groups=groups, reference=reference, method=method, n_cells=n_cells, seed=seed)
    adata = writable(adata, copy=copy)
    with model._cells(adata, layer=layer, duplicates=duplicates, min_coverage=min_coverage) as table:
        found = attribute_contrasts(network, table, drawn.contrasts, drawn.samples, method=method, steps=_STEPS)
    contributions = np.stack([a.contributions for a in found], 1)
    adata.varm[key_added] = spread_over_columns(contributions, table.source.column_to_gene)
    settings = {"groupby": groupby, "reference": reference, "method": method, "layer": layer or "", "seed": int(seed)}
    origin = {"vocabulary": model.vocabulary.fingerprint(), "data_fingerprint": model.record.data_fingerprint}
    add_entry(adata, KEYS.attribution, key_added, {**_results(drawn, found), **settings, **origin})
    return adata if copy else None


def _results(drawn: GroupContrasts, found: Sequence[Attribution]) -> dict[str, Any]:
    """What h5ad can hold of the attributions, their genes aside."""
    return {
        "groups": np.array(drawn.names, dtype=object),
        "difference": np.array([a.difference for a in found]),
        "completeness_error": np.array([a.error for a in found]),
        "direction": np.stack([a.direction for a in found]),
        "n_cells": np.array([c.cells.size for c in drawn.contrasts]),
        "n_reference": np.array([c.reference.size for c in drawn.contrasts]),
        "steps": _STEPS,
    }
