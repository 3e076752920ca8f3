"""``tl.embed_sequences``: one embedding per DNA sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._uns import check_file_key, write_record
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.model import _embed
from r2mae_bio.dna.model._dna_mae import DNAMAE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from r2mae_bio.dna._protocols import StateModel


@answers_misspelt
def embed_sequences(
    sequences: str | Path | Sequence[str] | pd.Series,
    model: StateModel | str | Path,
    *,
    layer: int = -1,
    strand: str = "both",
    key_added: str = KEYS.obsm,
    overlap: int | None = None,
    batch_size: int | None = None,
) -> AnnData:
    """Embed DNA sequences of any length: the mean of the states of their bases.

    A sequence of up to ``model.window`` bases is read whole. A longer one is read in tiles of
    exactly that length, evenly spread from its first base to its last, and the state of a base is
    taken from the tile in which it lies most central (from two, half each, where they tie). Bases
    other than A, C, G and T are read as not known and left out of the mean. Only sequences and
    tiles of equal length are read together, so an embedding does not depend on what else is
    embedded.

    Parameters
    ----------
    sequences
        A FASTA file, plain or gzip; a series, whose index gives the names; or a list. See
        :func:`r2mae_bio.io.read_sequences`.
    model
        A model of DNA, such as ``DNAMAE``, or the folder of a saved one; a model of another package
        needs the members of :class:`r2mae_bio.dna._protocols.StateModel`.
    layer
        Layer of the network whose states are averaged; -1 is the last one.
    strand
        ``"both"`` for the mean over the sequence and its reverse complement, which then have the
        same embedding; ``"+"`` for the sequence as it is.
    key_added
        Key of ``.obsm``.
    overlap
        Bases that neighbouring tiles share at least, smaller than ``model.window``; a quarter of it
        if None.
    batch_size
        Sequences or tiles that the network reads at a time; as the model chooses if None.

    Returns
    -------
    AnnData of n sequences without variables, with

    - ``.obsm[key_added]`` (float32, (n, D)): the embedding, NaN for a sequence without A, C, G and
      T;
    - ``.obs["length"]``, ``.obs["n_valid"]`` (int64): bases, and those among them that are A, C, G
      or T;
    - ``.uns["r2mae"]["embed"][key_added]`` (dict of str and int): model, checksum, settings,
      version.

    Raises
    ------
    FastaError, NotDNAError
        There is no sequence, one is empty, or letters are not those of DNA.
    ConfigError
        ``strand`` or ``overlap`` cannot be used.
    SetupError, CheckpointError
        The model does not read DNA, or cannot be read.

    Warns
    -----
    UserWarning
        Sequences hold no A, C, G or T, or names were repeated.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> embedded = rb.tl.embed_sequences(["GATTACA", "ACGTNNACGT"], model)  # or "promoters.fa"
    >>> embedded.obsm["X_r2mae"].shape
    (2, 32)
    """
    check_file_key(key_added)
    model = open_model(model, DNAMAE, "states", what="model of DNA")
    embedding = _embed.embed_sequences(sequences, model, layer=layer, strand=strand, overlap=overlap, batch_size=batch_size)
    return as_anndata(embedding, key_added)


def as_anndata(embedding: _embed.Embedding, key: str) -> AnnData:
    """Sequences or regions without variables."""
    import anndata as ad

    adata = ad.AnnData(obs=embedding.table)
    adata.obsm[key] = embedding.values
    write_record(adata, KEYS.embed, {key: embedding.record})
    return adata
