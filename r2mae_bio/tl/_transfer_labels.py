"""``tl.transfer_labels``: labels of a reference into ``.obs``, with a probability and a score for
types that the reference lacks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2mae_bio._keys import KEYS
from r2mae_bio.cells._labelled import Labelling, label_columns, write_labels
from r2mae_bio.cells._opened import check_places, files_of, matrix_of, opened
from r2mae_bio.cells.model._batch_correction import fingerprint
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.model._reader import read_layer
from r2mae_bio.cells.model._setup import choose_labels
from r2mae_bio.cells.read._data import in_files, writable
from r2mae_bio.cells.read._uns import add_entry, check_file_key
from r2mae_bio.cells.transfer._embedding import Reading
from r2mae_bio.cells.transfer._query import label_query
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from distributed import Client


@answers_misspelt
def transfer_labels(
    adata: AnnData | str | Path | Sequence[str | Path],
    reference: AnnData | str | Path | Sequence[str | Path],
    *,
    labels_key: str | None = None,
    model: GeneMAE | str | Path,
    groups_key: str | None = None,
    correct_query: bool = True,
    query_batch_key: str | None = None,
    match_depth: bool = True,
    match_shares: bool = True,
    unknown_threshold: float | None = None,
    key_added: str = "r2mae_label",
    layer: str | None = None,
    reference_layer: str | None = None,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    client: Client | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Label cells by a reference, and say how far to trust each label.

    Both data sets are embedded by the same genes: those of the model that both measured, in all
    cells where these differ (see :func:`r2mae_bio.pp.measured_by_batch`). A logistic regression
    learns from the reference so embedded, so that a query measured on a panel meets a classifier
    made for this panel. Where the query is shallower, the reference is embedded from as few counts:
    molecules of each cell are drawn, three times, until the reference has the depths of the query,
    its deeper cells more of them as far as chance lets them. Draws without a count are not learned
    from, and labels, confidence and the score for unknown types are those of the others.
    What the query adds to the embedding as a batch (another donor, depth or technology) is taken
    out first: by the model if it knows the batches of all cells (see :func:`map_query`), otherwise
    by laying the query on the neighbourhoods of the reference. A query of too few neighbourhoods to
    tell a batch from a cell type stays as it is, with a warning; so does one that would spread over
    fewer classes than before, for then types were taken for a batch; and so do fewer than 10 cells,
    without one.

    The strength of the regression and the temperature of its probabilities come from
    cross-validation within the reference. Classes that are more frequent in a batch of the query
    than in the reference get more of the doubtful cells: their shares are estimated where a test
    tells them from those of the reference, the latter being half of the evidence. The score for
    unknown types compares a cell's distance to the mean of its class, and the odds against its
    label, with those of reference cells of that label that were held out: 0.95 means that 95% of
    the reference cells look less unusual; it is taken before the query is corrected, for that draws
    new types to known ones, so differences between the studies make all cells of a query look more
    unusual. A cell without a count in these genes gets the shares that classes have among cells so
    shallow, with a warning. With ``correct_query=False``, ``match_depth=False`` and
    ``match_shares=False`` a cell's results do not depend on the other cells of the query, and one
    without a count has the shares of the reference.

    Labels of cells in files are written into these files, or to a new one; embeddings first grow in
    a journal beside the first of them, from which a killed run goes on, see :func:`embed`. Two
    embeddings in float32 and the probabilities of each cell are in memory, its counts never.

    Parameters
    ----------
    adata
        Cells to label, with raw counts: an AnnData, a :class:`r2mae_bio.io.CellStore`, or paths of
        files.
    reference
        Labelled cells, with raw counts, given likewise; not changed. Cells without a label, and
        classes of a single cell, are left out with a warning.
    labels_key
        Column of ``reference.obs`` with the classes; what ``setup_anndata`` was told of the
        reference, or else of the model's training data, if None.
    model
        A model, or the folder of a saved one. It need not have been trained on either data set.
    groups_key
        Column of ``reference.obs`` with groups such as donors. If given, whole groups are held out
        in the cross-validation, and confidence is that in cells of a donor not seen before;
        advisable where there are three or more.
    correct_query
        Take out what the query adds as a batch.
    query_batch_key
        Column of ``adata.obs`` with batches of the query, each corrected for itself; the query is
        one batch if None.
    match_depth
        Learn from the reference at the depth of the query, if that is shallower. Of no consequence
        for models of log-normalised values.
    match_shares
        Estimate how frequent the classes are in each batch of the query, see above.
    unknown_threshold
        Cells with a score for unknown types above this, between 0 and 1, get the label
        ``"unknown"``, or none where labels are numbers or truth values, and so do cells without a
        count; none does if None.
    key_added
        Beginning of the names that are written.
    layer, reference_layer
        Layers of raw counts; see :meth:`GeneMAE.get_latent_representation`.
    batch_size
        Cells at a time; 512 if None.
    duplicates
        ``"error"`` or ``"sum"`` for columns of the same gene, in either data set.
    min_coverage
        Smallest share of the model's genes that both data sets must have measured; see
        :func:`r2mae_bio.io.align_genes`.
    seed
        Seed of the folds, and of the molecules that are drawn.
    out
        For cells in files: a new ``.zarr`` folder or ``.h5ad`` file, with names and ``.obs`` of the
        store and what is written here; if None, the files of the cells, whose matrices are not
        touched. A store that was passed has the same in memory.
    overwrite
        For cells in files: replace an ``out`` that exists, but for files that are read, or what is
        there under the same keys.
    client
        For cells in files: a ``dask.distributed.Client``, whose workers embed the query; see
        :func:`embed`.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are

    - ``.obs[key_added]`` (categorical; its categories have the type of the reference's labels): the
      most probable class, or ``"unknown"``, or missing where labels are numbers or truth values;
    - ``.obs[f"{key_added}_confidence"]`` (float32): the probability of the most probable class;
    - ``.obs[f"{key_added}_unknown"]`` (float32, at least 0 and below 1; NaN for cells without a
      count): score for a type that the reference lacks;
    - ``.obsm[f"{key_added}_probabilities"]`` (float32, (n_cells, n_classes)): probabilities of the
      classes of the reference;
    - ``.uns["r2mae"]["transfer_labels"][key_added]``, a dict of ``classes`` ((n_classes,)):
      the columns of the probabilities; ``temperature``, ``strength`` (inverse L2 penalty) and
      ``accuracy_out_of_fold`` (float): what cross-validation found; ``unknown_threshold`` (float,
      if given); ``n_genes_shared``, ``n_genes_query``, ``n_genes_reference``, ``n_genes_model``,
      ``n_reference`` (cells learned from), ``batches_taken_out``, ``query_corrected``,
      ``depth_matched`` (0 or 1), ``batches_with_own_shares`` (batches of the query whose classes
      are not as frequent as in the reference) and ``seed`` (int);
      ``labels_key``, ``groups_key``, ``layer``, ``reference_layer``, ``vocabulary`` and
      ``checksum`` of the model (str).

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError
        ``unknown_threshold`` or ``batch_size`` is out of range, the reference has a class
        ``"unknown"`` of its own, or what is to be written into files exists.
    JournalError
        Another run with other settings was begun, or is writing.
    SetupError
        A column or a layer does not exist.
    CountsError, DataError, GeneIdentityError
        The data cannot be used, they share too few genes, or the reference has fewer than two
        classes; nothing is written.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> cells = rb.datasets.pbmc68k()
    >>> model = rb.tl.pretrain(cells, layer="counts", max_epochs=1, progress_bar=False)
    >>> reference, query = cells[:500].copy(), cells[500:].copy()
    >>> rb.tl.transfer_labels(query, reference, labels_key="bulk_labels", model=model)
    >>> query.obsm["r2mae_label_probabilities"].shape
    (200, 10)
    """
    check_file_key(key_added)
    model = open_model(model, GeneMAE, what="model of cells")
    genes: dict[str, Any] = {"duplicates": duplicates, "min_coverage": min_coverage}
    setup = model.record.setup
    with (
        opened(adata, layer=layer, obs=[query_batch_key, setup.batch_key], **genes) as query,
        opened(
            reference, layer=reference_layer, obs=[labels_key or setup.labels_key, groups_key, setup.batch_key], **genes
        ) as known,
    ):
        check_places(query, out, client, overwrite=overwrite, copy=copy)
        chosen = choose_labels(labels_key, known, setup.labels_key)
        reading = Reading(correct_query, query_batch_key, match_depth, match_shares, layer, reference_layer, batch_size, seed)
        asked = {"labels_key": chosen, "groups_key": groups_key, "unknown_threshold": unknown_threshold, **genes}
        label = partial(label_query, model, query, known, reading=reading, **asked)
        if in_files(query):
            settings = {**asked, **vars(reading), "reference": fingerprint(known, read_layer(model, known, reference_layer))}
            matrix = matrix_of(query, read_layer(model, query, layer))
            labelling = Labelling(key_added, label, matrix, settings, files_of(query, known))
            moved = write_labels(
                query, labelling, out=None if out is None else Path(out).expanduser(), overwrite=overwrite, client=client
            )
        else:
            moved = label()
            query = writable(query, copy=copy)
        # an array, not a data frame: h5ad refuses names of columns with a slash, which names of
        # cell types have
        query.obsm[f"{key_added}_probabilities"] = moved.probabilities
        for name, values in label_columns(moved, key_added).items():
            query.obs[name] = values
        add_entry(query, KEYS.transfer_labels, key_added, moved.record)
    return query if copy else None
