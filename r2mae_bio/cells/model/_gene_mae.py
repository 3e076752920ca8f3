"""GeneMAE: a masked autoencoder of gene expression on AnnData."""

from __future__ import annotations

import hashlib
import inspect
import operator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from r2mae_bio._keys import as_names
from r2mae_bio._progress import asked_for
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio._splits import split_cells
from r2mae_bio.cells.fit._factors import draw_cells, factor_analysis, sparse_expression
from r2mae_bio.cells.fit._loader import cell_loaders
from r2mae_bio.cells.fit._objective import GeneObjective
from r2mae_bio.cells.fit._panel_reader import fit_panel_reader, whole_cells
from r2mae_bio.cells.fit._statistics import scan_cells
from r2mae_bio.cells.fit._table import CellTable, cells_at_a_time
from r2mae_bio.cells.model._auto import resolve_mask_ratio
from r2mae_bio.cells.model._covariates import Covariates
from r2mae_bio.cells.model._embedder import CellEmbedder
from r2mae_bio.cells.model._expression import Expression
from r2mae_bio.cells.model._finetune import finetune_cells
from r2mae_bio.cells.model._gene_embeddings import choose_kind, embed_genes
from r2mae_bio.cells.model._reader import open_source
from r2mae_bio.cells.model._record import GeneRecord, build_network
from r2mae_bio.cells.model._setup import Setup, choose_labels, choose_likelihood, set_up
from r2mae_bio.cells.network._start import start_from_factors
from r2mae_bio.cells.read._data import check_anndata, default_batch
from r2mae_bio.cells.read._genes import GeneVocabulary
from r2mae_bio.cells.read._matrix import gene_totals, get_matrix
from r2mae_bio.cells.read._panels import read_panels
from r2mae_bio.config import CellFinetuneConfig, GeneConfig, GeneTrainConfig
from r2mae_bio.config._names import NETWORK, TRAIN, answers_misspelt, answers_scvi, check_names, in_config
from r2mae_bio.core._resume import TrainingState
from r2mae_bio.core._run import Run, default_epochs, train_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anndata import AnnData

    from r2mae_bio.cells.fit._statistics import CellStatistics
    from r2mae_bio.cells.model._classifier import CellClassifier
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.cells.read._coverage import CoverageReport
    from r2mae_bio.core._run import TrainOptions
    from r2mae_bio.masking import RatioLaw


class GeneMAE(CellEmbedder, Expression):
    """Masked autoencoder of gene expression, pretrained at a mask ratio that is itself drawn at
    random (R2MAE).

    A share of the measured genes of every cell is hidden; the encoder sees the others, and the
    decoder predicts the hidden ones. A gene that was not measured is hidden, never zero, so one
    model embeds whole transcriptomes and small panels. The model owns its gene vocabulary: data of
    any call are aligned by gene name.

    Parameters
    ----------
    adata
        Training data, after :meth:`setup_anndata`: an AnnData, or a
        :class:`r2mae_bio.io.CellStore`, whose matrices stay in their files.
    mask_ratio
        Share of measured genes to hide: a number (fixed), a pair (uniform, one draw per cell; R2MAE
        is ``(0, 1)``), a law of :mod:`r2mae_bio.masking`, or ``"auto"`` (what
        :func:`r2mae_bio.tl.recommend_mask_ratio` recommends for the data).
    encoder
        ``"transformer"``, or ``"mlp"``, a plain network kept as a control.
    gene_likelihood
        ``"nb"``, ``"zinb"``, ``"poisson"``, or ``"normal"`` for log-normalised data; what
        ``setup_anndata`` was told if None.
    n_latent
        Dimensions of the embedding.
    seed
        Seed of weights, split, shuffling and masks. Equal seeds give bit-equal results on one CPU
        setting.
    duplicate_genes
        ``"error"`` refuses data in which two columns carry the same gene; ``"sum"`` adds them up.
    network_kwargs
        Further settings of :class:`r2mae_bio.config.GeneConfig`.

    Raises
    ------
    SetupError
        :meth:`setup_anndata` was not called, or a column is missing.
    ConfigError
        A setting cannot work.
    DuplicateGenesError
        Two columns carry the same gene.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> rb.model.GeneMAE.setup_anndata(adata, layer="counts")
    >>> model = rb.model.GeneMAE(adata, mask_ratio=(0, 1), seed=0)
    >>> model.train(max_epochs=1, progress_bar=False)
    >>> model.get_latent_representation().shape
    (700, 64)
    """

    def __init__(
        self,
        adata: AnnData,
        *,
        mask_ratio: float | tuple[float, float] | RatioLaw | str = (0, 1),
        encoder: str = "transformer",
        gene_likelihood: str | None = None,
        n_latent: int = 64,
        seed: int = 0,
        duplicate_genes: str = "error",
        **network_kwargs: Any,
    ) -> None:
        known, near = [field.name for field in fields(GeneConfig)], ("mask_ratio", "seed", "duplicate_genes")
        check_names(network_kwargs, known, what="GeneMAE()", instead=NETWORK, near=near)
        setup, seed = Setup.read(adata), operator.index(seed)  # a NumPy number could not be saved
        likelihood = choose_likelihood(gene_likelihood, setup)
        settings: dict[str, Any] = {"encoder": encoder, "gene_likelihood": likelihood, "n_latent": n_latent, **network_kwargs}
        totals = gene_totals(get_matrix(adata, setup.layer), read_panels(adata))
        self.record = GeneRecord(
            config=GeneConfig(**settings),
            law=resolve_mask_ratio(mask_ratio, adata, setup, seed=seed),
            seed=seed,
            setup=setup,
            covariates=Covariates.from_obs(adata.obs, setup.categorical, setup.continuous_covariate_keys),
            vocabulary=GeneVocabulary.from_anndata(adata, np.maximum(totals, 0), duplicates=duplicate_genes),
            duplicates=duplicate_genes,
        )
        self.network: GeneMaskedAutoencoder | None = None
        self.coverage: CoverageReport | None = None
        self._adata: AnnData | None = adata

    # ------------------------------------------------------------------ setup

    @classmethod
    @answers_scvi(
        "adata layer batch_key labels_key size_factor_key categorical_covariate_keys continuous_covariate_keys",
        size_factor_key="the depth of a cell is estimated from its measured genes",
    )
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        batch_key: str | None = None,
        *,
        labels_key: str | None = None,
        categorical_covariate_keys: str | Sequence[str] | None = None,
        continuous_covariate_keys: str | Sequence[str] | None = None,
        gene_likelihood: str = "nb",
        measured: pd.DataFrame | Mapping[str, Sequence[str]] | str | None = None,
        panel_key: str | None = None,
    ) -> None:
        """Say where counts and covariates are, and check every count.

        Parameters
        ----------
        adata
            The data, or a :class:`r2mae_bio.io.CellStore`; nothing but ``.uns``, and ``.varm`` with
            ``measured``, is touched.
        layer
            Layer of raw counts; ``X`` if None.
        batch_key
            Column of ``.obs`` with the batch; like all covariates it enters the decoder, so the
            embedding need not carry it. What is left of it is taken out of embeddings, see
            :meth:`get_latent_representation`. If None, the file of each cell for a store of several
            files, else there are no batches.
        labels_key
            Column of ``.obs`` with classes, which :meth:`finetune` learns unless told another;
            pretraining does not read it.
        categorical_covariate_keys, continuous_covariate_keys
            Further columns; a single one may be given as text.
        gene_likelihood
            ``"normal"`` accepts log-normalised values instead of counts.
        measured
            Which genes were measured in which cells, where that differs, as after
            ``anndata.concat(join="outer")`` of several panels: a data frame of genes x panels
            (bool), the key of one in ``.varm``, or a dictionary with the genes of each panel. In
            cells of a panel that did not measure a gene, the gene is hidden, and whatever the
            matrix holds there (zero, NaN) is not read. If None, what the data say already, see
            :func:`r2mae_bio.pp.measured_by_batch`. It goes with the data, and every verb heeds it.
        panel_key
            Column of ``.obs`` that names the panel of each cell; ``batch_key`` if None.

        Returns
        -------
        None; ``.uns["r2mae"]["setup"]`` (dict of str and lists of str) is written, and with
        ``measured`` what :func:`r2mae_bio.pp.measured_by_batch` writes.

        Raises
        ------
        CountsError
            The matrix does not hold counts; the subclass and the message say why, where and what to
            do.
        SetupError
            The layer or a column does not exist.
        ConfigError
            ``measured`` is no table, or no column tells the panels of the cells.
        DataError
            A covariate has missing values or the wrong type, no cell has a label, or ``measured``
            lacks genes or panels.
        """
        check_anndata(adata)
        categorical, continuous = as_names(categorical_covariate_keys), as_names(continuous_covariate_keys)
        batch_key = default_batch(adata) if batch_key is None else batch_key
        setup = Setup(layer, gene_likelihood, batch_key, categorical, continuous, labels_key)
        GeneConfig(gene_likelihood=gene_likelihood)  # type: ignore[arg-type]  # refuses an unknown name
        Covariates.from_obs(adata.obs, setup.categorical, continuous)
        set_up(adata, setup, measured, panel_key)

    # ------------------------------------------------------------------ training

    @answers_misspelt
    def initialize(self, *, train_size: float = 1.0) -> None:
        """Build the network without training it: the random-weights control.

        Parameters
        ----------
        train_size
            Share of the cells from which gene means and spreads are taken.
        """
        table = self._training_table()
        statistics = self._scan(table, train_size)
        self.record.data_fingerprint = statistics.fingerprint
        if self.network is None:
            self.network = self._build(table, statistics, train_size)
            if self.record.setup.batch_key is not None:
                self._fit_batch_effects()

    @answers_scvi(
        "max_epochs accelerator devices train_size validation_size shuffle_set_split load_sparse_tensor batch_size early_stopping",
        **TRAIN,
    )
    def train(
        self,
        max_epochs: int | None = None,
        *,
        accelerator: str = "auto",
        devices: Any = "auto",
        batch_size: int = 128,
        train_size: float = 0.9,
        early_stopping: bool = False,
        checkpoint_dir: Path | str | None = None,
        checkpoint_every_n_steps: int | None = None,
        resume_from: Path | str | None = None,
        progress_bar: bool = True,
        train_kwargs: dict[str, Any] | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Pretrain on masked cells.

        Ctrl-C stops after the current step and keeps the model as it then is. With
        ``checkpoint_dir`` every epoch is saved, and ``resume_from`` continues a run that was
        stopped or killed exactly where its last checkpoint stands: on one CPU setting the final
        weights are bit-equal to those of an uninterrupted run.

        Parameters
        ----------
        max_epochs
            Passes over the training cells; about 400 optimiser steps, between 20 and 400 epochs, if
            None.
        accelerator, devices
            As in :class:`pytorch_lightning.Trainer`.
        batch_size
            Cells per optimiser step.
        train_size
            Share of the cells to train on; the rest is validation.
        early_stopping
            Stop when the validation loss no longer falls, and return to the best epoch.
        checkpoint_dir
            Folder for checkpoints and ``history.csv``; nothing is written to disk if None.
        checkpoint_every_n_steps
            Save within epochs too.
        resume_from
            A ``checkpoint_dir`` of an earlier run with the same data and settings; one that has no
            step left to do gives its model.
        progress_bar
            Show loss and cells per second.
        train_kwargs
            Further settings of :class:`r2mae_bio.config.GeneTrainConfig`, such as ``learning_rate``
            and ``patience``.
        plan_kwargs
            The same under the names of scvi-tools: ``lr`` and ``weight_decay``.
        trainer_kwargs
            Passed to :class:`pytorch_lightning.Trainer`, such as ``precision="bf16-mixed"``. A
            ``logger`` is told each row of :attr:`history`; ``callbacks`` come after those of the
            run and are those of ``pytorch_lightning``.

        Raises
        ------
        ConfigError
            A setting cannot work.
        TrainingError
            The loss is no longer finite.
        CheckpointError
            ``resume_from`` holds no checkpoint, a damaged one, or one of another run; or
            ``checkpoint_dir`` holds one of another run.
        SetupError
            The model was loaded without data.
        """
        table = self._training_table()
        epochs = default_epochs(table.n_cells, batch_size) if max_epochs is None else max_epochs
        shown = {"max_epochs": epochs, "batch_size": batch_size, "train_size": train_size, "early_stopping": early_stopping}
        config = GeneTrainConfig.of_call(shown, train_kwargs, plan_kwargs)
        options = train_options(
            accelerator=accelerator,
            devices=devices,
            progress_bar=progress_bar,
            checkpoint_dir=checkpoint_dir,
            checkpoint_every_n_steps=checkpoint_every_n_steps,
            resume_from=resume_from,
            trainer_kwargs=trainer_kwargs,
            own=inspect.signature(self.train).parameters,
        )
        self._train(table, config, options)

    def _train(self, table: CellTable, config: GeneTrainConfig, options: TrainOptions) -> None:
        record = self.record
        if config.read_rate is None:
            config = replace(config, read_rate=self._read_rate(options))
        statistics = self._scan(table, config.train_size)
        loaders = cell_loaders(table, *split_cells(table.n_cells, config.train_size, record.seed), config.batch_size)
        identity = {
            "genes": record.vocabulary.fingerprint(),
            "covariates": [record.covariates.to_json(), hashlib.sha256(table.context.tobytes()).hexdigest()],
            "blocks and buffers of the store": table.source.buffer,
        }
        run = Run(config, options, loaders, self._objective(statistics), statistics.fingerprint, identity)

        def finish(n_steps: int) -> None:
            if record.config.panel_reader and record.config.encoder == "transformer":
                self._fit_panel_reader(table, config, n_steps, shown=options.progress_bar)
            if record.setup.batch_key is not None:
                self._fit_batch_effects()

        self._fit(run, lambda: self._build(table, statistics, config.train_size), finish)
        self._renew_checkpoint(options, ("encoder.panel_reader.", "batch_effects."))

    def _fit_panel_reader(self, table: CellTable, config: GeneTrainConfig, n_steps: int, *, shown: bool) -> None:
        """Learn to read panels from training cells; Ctrl-C leaves a model that did not."""
        network, record = self._network(), self.record
        cells, _ = split_cells(table.n_cells, config.train_size, record.seed)
        some = whole_cells(table, cells, derive_generator(record.seed, "whole cells"))
        batches = [batch for _, batch in table.panel_batches(cells_at_a_time(None), self.device, cells=some)]
        bar = (shown or asked_for()) if self._rank == 0 else False
        finished = fit_panel_reader(network, batches, self._block_reader, n_steps=n_steps, seed=record.seed, shown=bar)
        self._interrupted = self._interrupted or not finished

    def _read_rate(self, options: TrainOptions) -> float:
        """Of a run that was not told one: that of the run that it continues, or what suits the
        start of the network.
        """
        if options.resume_from is not None:
            earlier = TrainingState.read(options.resume_from).identity.get("training settings", {})
            if isinstance(rate := earlier.get("read_rate"), int | float):
                return rate
        return 0.1 if self.config.start == "random" else 0.0

    def _objective(self, statistics: CellStatistics) -> GeneObjective:
        """What training minimises."""
        config = self.record.config
        return GeneObjective(config.gene_likelihood, statistics, use_observed_lib_size=config.use_observed_lib_size)

    def _scan(self, table: CellTable, train_size: float) -> CellStatistics:
        cells, _ = split_cells(table.n_cells, train_size, self.record.seed)
        config = self.record.config
        return scan_cells(table, cells, counts=config.gene_likelihood != "normal", transform=config.content)

    def _build(self, table: CellTable, statistics: CellStatistics, train_size: float) -> GeneMaskedAutoencoder:
        """A network made from the training cells."""
        record = self.record
        cells, _ = split_cells(table.n_cells, train_size, record.seed)
        network = build_network(statistics.network, record, seed=derive_seed(record.seed, "weights")).eval()
        if record.config.start == "factors" and record.config.encoder == "transformer":
            some = draw_cells(cells, derive_generator(record.seed, "factor cells"))
            expression = sparse_expression(table, some, network.content)
            variance = None if some.size == cells.size else statistics.network.sd.double().square().numpy()
            generator = derive_generator(record.seed, "factors")
            pooling = record.config.noise_pooling
            panels = None if table.source.panels is None else table.source.panels.among(some)
            factors = factor_analysis(
                expression, record.config.n_factors, generator, variance=variance, pooling=pooling, panels=panels
            )
            mean = None if factors.mean is None else torch.from_numpy(factors.mean).float()
            start_from_factors(network, torch.from_numpy(factors.loadings).float(), torch.from_numpy(factors.noise).float(), mean)
        return network

    def _training_table(self) -> CellTable:
        """The training cells with their covariates."""
        adata, record = self._training_data(), self.record
        record.setup.check(adata)  # X may have been normalised in place since setup_anndata
        source, self.coverage = open_source(record, adata, record.setup.layer, duplicates=record.duplicates)
        return CellTable(source, record.covariates.encode(adata.obs))

    # ------------------------------------------------------------------ what it learned, and labels

    @answers_misspelt
    def get_gene_embeddings(self, *, kind: str | None = None) -> pd.DataFrame:
        """Embed the genes: genes that vary together among the training cells point the same way
        (compare by cosine).

        Parameters
        ----------
        kind
            ``"keys"``: what the least-squares read of the transformer holds of each gene, the
            gene's loading on the factors that it reads, in standard deviations of the gene's
            content. ``"decoder"``: how the logarithm of the gene's expected share of a cell's
            counts (of its expected value, for ``gene_likelihood="normal"``) moves with each
            dimension of the embedding, at the average cell. If None, ``"keys"``, or ``"decoder"``
            for the MLP encoder, which has no keys.

        Returns
        -------
        One float32 row per gene of the vocabulary, indexed by its name: (n_genes, n_factors) for
        keys, (n_genes, n_latent) for the decoder. The lengths of rows say how much of a gene the
        model follows; genes that vary alone are short.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            There is no such kind, or the encoder has no keys.
        """
        network, kind = self._network().eval(), choose_kind(kind, self.config)
        return pd.DataFrame(embed_genes(network, kind).numpy().copy(), index=pd.Index(self.vocabulary.names))

    @answers_scvi(**in_config(CellFinetuneConfig))
    def finetune(
        self,
        adata: AnnData,
        *,
        labels_key: str | None = None,
        layer: str | None = None,
        freeze_encoder: bool = False,
        split_key: str | None = None,
        dev_size: float = 0.1,
        groups_key: str | None = None,
        config: CellFinetuneConfig | None = None,
        seed: int = 0,
        progress_bar: bool = True,
    ) -> CellClassifier:
        """Train a copy of the encoder, and a head, to classify cells; this model stays as it is.

        The head begins at a logistic regression on the frozen embeddings, a linear probe. Training
        hides random parts of the genes of some cells, by this model's law of the mask ratio, so
        that the classifier also reads panels; other weights than the probe's are kept only if they
        lose less on the dev cells, judged in full and with hidden genes. Ctrl-C keeps the best so
        far.

        Parameters
        ----------
        adata
            Labelled cells; they need not have been set up.
        labels_key
            Column of ``.obs`` with the classes; what :meth:`setup_anndata` was told if None. Cells
            without a label are left out with a warning.
        layer
            Layer of counts; if None, that of the data's own setup, else that of the training data
            if present, else ``X``.
        freeze_encoder
            Train the head alone.
        split_key
            Column of ``.obs`` that says ``"train"`` or ``"dev"``; other cells are left out. Dev
            cells are drawn if it says no ``"dev"``.
        dev_size
            Share of the cells that are drawn to judge when to stop, class by class.
        groups_key
            Column of ``.obs`` with groups, such as donors; whole groups are drawn then.
        config
            Settings of the training.
        seed
            Of dev cells, head, order, masks and dropout.
        progress_bar
            Show progress on standard error.

        Returns
        -------
        A classifier with ``predict_proba``, ``predict``, ``evaluate``, ``save`` and ``load``.

        Raises
        ------
        NotTrainedError
            There are no weights yet; :meth:`initialize` makes untrained ones.
        ConfigError
            A setting cannot work.
        SetupError
            A column or layer does not exist.
        DataError
            There are fewer than two classes, or no dev cells; its subclasses tell what is wrong
            with counts and genes.
        TrainingError
            The loss is no longer finite.
        """
        return finetune_cells(
            self._network(),
            self.record,
            adata,
            labels_key=choose_labels(labels_key, adata, self.record.setup.labels_key),
            layer=layer,
            freeze_encoder=freeze_encoder,
            split_key=split_key,
            dev_size=dev_size,
            groups_key=groups_key,
            config=config,
            seed=seed,
            pretrained=self.checksum(),
            progress_bar=progress_bar,
        )
