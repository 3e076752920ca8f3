"""``tl.embed_regions``: one embedding per region of a genome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._uns import add_entry, check_file_key
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model import _embed
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.regions._regions import read_regions
from r2mae_bio.dna.regions._text import regions_of_variables
from r2mae_bio.tl._embed_sequences import as_anndata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

    from r2mae_bio.dna._protocols import StateModel
    from r2mae_bio.dna.genome._genome import Genome


@answers_misspelt
def embed_regions(
    regions: str | Path | pd.DataFrame | Sequence[tuple[Any, ...]] | None,
    genome: Genome | str | Path,
    model: StateModel | str | Path,
    *,
    adata: AnnData | None = None,
    layer: int = -1,
    strand: str = "both",
    key_added: str = KEYS.obsm,
    overlap: int | None = None,
    batch_size: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed regions of a genome, as :func:`embed_sequences` does sequences.

    Regions are read from the genome as they are needed, so their number and length are not limited
    by memory.

    Parameters
    ----------
    regions
        A BED file, a table with the columns ``chrom``, ``start``, ``end`` and optionally ``name``
        and ``strand``, or a list of tuples in this order, 0-based and half-open; see
        :func:`r2mae_bio.io.read_regions`. A region on the strand ``-`` is read as its reverse
        complement. With ``adata``, None for the regions that ``adata.var`` names, or one region per
        variable in their order.
    genome
        The genome, or the path of its FASTA file; names such as ``1`` and ``chr1`` are taken for
        the same contig. On a circular contig a region may run over its end.
    model
        A model of DNA, such as ``DNAMAE``, or the folder of a saved one; a model of another package
        needs the members of :class:`r2mae_bio.dna._protocols.StateModel`.
    adata
        Data whose variables are regions, such as ATAC peaks. Regions are taken from the columns
        ``chrom``, ``start`` and ``end`` of ``.var``, or else from names such as ``chr1:100-200`` or
        ``chr1-100-200``, which are read as 0-based and half-open, as in BED.
    layer
        Layer of the network whose states are averaged; -1 is the last one.
    strand
        ``"both"`` for the mean over both strands, which does not depend on the strand of a region;
        ``"+"`` for the region's own alone.
    key_added
        Key of ``.obsm``, or of ``.varm`` with ``adata``.
    overlap
        Bases that neighbouring tiles of long regions share at least, smaller than ``model.window``;
        a quarter of it if None.
    batch_size
        Regions or tiles that the network reads at a time; as the model chooses if None.
    copy
        With ``adata``: leave it as it is and return a changed copy.

    Returns
    -------
    Without ``adata``, AnnData of n regions without variables, with

    - ``.obsm[key_added]`` (float32, (n, D)): the embedding, NaN for a region without A, C, G and T;
    - ``.obs``: ``chrom``, ``name``, ``strand`` (str), ``start``, ``end``, ``length``, ``n_valid``
      (int64); rows are called as the regions, repeated names get a number;
    - ``.uns["r2mae"]["embed"][key_added]`` (dict of str and int): model, checksum, settings,
      genome, version.

    With ``adata``, None or the copy; written are ``.varm[key_added]`` (float32, (n_vars, D)) and
    the same record in ``.uns``.

    Raises
    ------
    BedError
        The regions cannot be read.
    RegionError, UnknownContigError, AmbiguousContigError
        A region does not lie on the genome.
    ConfigError
        ``strand`` or ``overlap`` cannot be used, or neither ``regions`` nor ``adata`` is given.
    SetupError
        ``adata.var`` names no regions, their number is not that of ``regions``, or the model does
        not read DNA or lacks the alignment that it reads.
    CheckpointError, FastaError, CacheError
        The model or the genome cannot be read.

    Warns
    -----
    UserWarning
        Regions hold no A, C, G or T.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> regions = [("NC_001416.1", 0, 300), ("NC_001416.1", 38_040, 38_241)]  # or "peaks.bed"
    >>> peaks = rb.tl.embed_regions(regions, genome, model)
    >>> peaks.obsm["X_r2mae"].shape
    (2, 32)

    Of ATAC data the peaks are the variables:

    >>> atac = anndata.AnnData(np.ones((5, 2), np.float32))
    >>> atac.var_names = ["NC_001416.1:0-300", "NC_001416.1:38040-38241"]
    >>> rb.tl.embed_regions(None, genome, model, adata=atac)
    >>> atac.varm["X_r2mae"].shape
    (2, 32)
    """
    check_file_key(key_added)
    model, genome = open_model(model, DNAMAE, "states", what="model of DNA"), as_genome(genome)
    embedding = _embed.embed_regions(
        _find_regions(regions, adata), genome, model, layer=layer, strand=strand, overlap=overlap, batch_size=batch_size
    )
    if adata is None:
        from anndata.utils import make_index_unique

        table = embedding.table
        table.index = make_index_unique(pd.Index(table["name"].tolist(), dtype=object))
        return as_anndata(embedding, key_added)
    adata = writable(adata, copy=copy)
    adata.varm[key_added] = embedding.values
    add_entry(adata, KEYS.embed, key_added, embedding.record)
    return adata if copy else None


def _find_regions(regions: Any, adata: AnnData | None) -> pd.DataFrame:
    if adata is None:
        if regions is None:
            message = "Neither regions nor adata is given; pass a BED file, a table or a list of regions, or adata= whose .var are regions."
            raise ConfigError(message)
        return read_regions(regions)
    table = regions_of_variables(adata.var) if regions is None else read_regions(regions)
    if len(table) != adata.n_vars:
        message = (
            f"There are {len(table)} regions and {adata.n_vars} variables; needed is one region per variable, in their order."
        )
        raise SetupError(message)
    return table
