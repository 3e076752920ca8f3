"""DNAMAE: a masked autoencoder of DNA on any FASTA."""

from __future__ import annotations

import inspect
import operator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._rng import derive_seed
from r2mae_bio.config import DNAConfig, FinetuneConfig, TrainConfig
from r2mae_bio.config._names import answers_scvi, in_config
from r2mae_bio.core._precision import choose_precision
from r2mae_bio.core._run import Run, train_options
from r2mae_bio.core._seeded import seeded
from r2mae_bio.dna.fit._columns import ColumnStart
from r2mae_bio.dna.fit._loader import window_loaders
from r2mae_bio.dna.fit._objective import DNAObjective
from r2mae_bio.dna.fit._relatives import RelativesObjective, RelativesStart
from r2mae_bio.dna.genome._genome import Genome, as_genome
from r2mae_bio.dna.model._alignment import AttachedAlignment, describe_alignment
from r2mae_bio.dna.model._classifier import finetune_sequences
from r2mae_bio.dna.model._reader import DNAReader, contig_lengths
from r2mae_bio.dna.model._record import DNARecord
from r2mae_bio.dna.model._split import base_composition, choose_split, measure_floors, train_share
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.masking import as_ratio_law

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from r2mae_bio.dna.alignment._alignment import Alignment
    from r2mae_bio.dna.alignment._over_genome import AlignedColumns
    from r2mae_bio.dna.model._classifier import SequenceClassifier
    from r2mae_bio.dna.regions._split import GenomeSplit
    from r2mae_bio.masking import RatioLaw

_BATCHES_PER_EPOCH = (16, 2000)
_TARGET_STEPS = 1000


class DNAMAE(DNAReader):
    """Masked autoencoder of DNA, pretrained at a mask ratio that is itself drawn at random (R2MAE).

    A share of the bases of every window is hidden; a rotary transformer with local convolutions
    reads the others and gives each hidden base a distribution over A, C, G and T. A base that is
    not known (N) is read like a hidden one and is never to be predicted. Bases are single tokens,
    so a variant is always one token.

    Parameters
    ----------
    genome
        What to train on: a :class:`r2mae_bio.io.Genome`, or the path of a FASTA file.
    window
        Bases read at once, L.
    mask_ratio
        Share of bases to hide: a number (fixed), a pair (uniform, one draw per window; R2MAE is
        ``(0, 1)``), or a law of :mod:`r2mae_bio.masking`.
    preset
        ``"tiny"`` (CPU, minutes), ``"small"`` or ``"base"`` (GPU); see
        :meth:`r2mae_bio.config.DNAConfig.preset`.
    n_layers
        Blocks; those of the preset if None.
    seed
        Seed of weights, windows, strands and masks. Equal seeds give bit-equal results on one CPU
        setting.
    alignment
        Other species aligned to the genome: what they have at each position is read beside the
        bases, also where the base is hidden (as GPN-MSA does, Benegas et al. 2025). Training
        begins at a log-linear model of the columns. Where nothing is aligned, and for sequences
        that are no part of the genome, it reads the sequence alone.
    species
        Which of the aligned species to read, or the one; all if None. Near relatives of the
        reference tell its base, and little of what selection lets pass.
    target
        With an alignment, what is hidden and predicted. ``"genome"``: bases of the genome, given
        its other bases and all columns, as GPN-MSA does. ``"relatives"``: what the other species
        have, given all bases of the genome and the columns that are not hidden; a substitution is
        then as likely as relatives with it are expected and seen. Much the better score of a single
        base beside 12 genomes of a fungus, for missense changes not beside three apes
        (``benchmarks/results/aligned_dna_cpu.md``); a position then says what relatives have, not
        what the genome has, which is no likelihood of a longer change.
    network_kwargs
        Further settings of :class:`r2mae_bio.config.DNAConfig`.

    Raises
    ------
    FastaError
        The file cannot be used.
    ConfigError
        A setting cannot work.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> model.get_latent_representation(["GATTACA", "ACGTNNACGT"]).shape
    (2, 32)
    """

    def __init__(
        self,
        genome: Genome | str | os.PathLike[str],
        *,
        window: int = 512,
        mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1),
        preset: str = "tiny",
        n_layers: int | None = None,
        seed: int = 0,
        alignment: Alignment | None = None,
        species: str | Sequence[str] | None = None,
        target: Literal["genome", "relatives"] = "genome",
        **network_kwargs: Any,
    ) -> None:
        if not isinstance(window, int | np.integer) or isinstance(window, bool) or window < 2:
            message = f"window is {window!r}; needed is a whole number of bases, at least 2."
            raise ConfigError(message)
        aligned = describe_alignment(alignment, species)
        sizes = network_kwargs if n_layers is None else {**network_kwargs, "n_layers": n_layers}
        config = replace(DNAConfig.preset(preset, **sizes), n_species=len(aligned.get("species", ())), target=target)
        known = as_genome(genome)
        self._genome: Genome | None = known
        law = as_ratio_law(mask_ratio)
        self.record = DNARecord(
            config=config,
            law=law,
            seed=operator.index(seed),
            window=int(window),
            contigs=contig_lengths(known),
            alignment=aligned,
        )
        self._attached = AttachedAlignment(alignment, self.record)
        self._attached.over(known)  # names and letters are compared before anything is trained
        self.network: DNAMaskedAutoencoder | None = None

    # ------------------------------------------------------------------ training

    def initialize(self) -> None:
        """Build the network without training it: the random-weights control."""
        self.network = self._build().eval()

    def train(
        self,
        max_epochs: int | None = None,
        *,
        split: GenomeSplit | None = None,
        train_size: float = 0.9,
        batch_size: int = 64,
        epoch_windows: int | None = None,
        both_strands: bool = True,
        repeat_weight: float = 1.0,
        species_weights: Mapping[str, float] | None = None,
        hidden_columns: str = "none",
        diverged_weight: float = 1.0,
        accelerator: str = "auto",
        devices: Any = "auto",
        precision: str = "auto",
        early_stopping: bool = False,
        checkpoint_dir: Path | str | None = None,
        checkpoint_every_n_steps: int | None = None,
        resume_from: Path | str | None = None,
        progress_bar: bool = True,
        train_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Pretrain on windows of the genome.

        Before it begins, the losses of Markov models of order 0 and 5 on the held-out part, and of
        columns alone, are logged (and kept in :attr:`floors`), and how many 24-mers of the held-out
        part also occur in the training part. Ctrl-C stops after the current step and keeps the
        model as it then is. With ``checkpoint_dir`` every epoch is saved, and ``resume_from``
        continues a run that was stopped or killed exactly where its last checkpoint stands: on one
        CPU setting the final weights are bit-equal to those of an uninterrupted run.

        Parameters
        ----------
        max_epochs
            Epochs; about 1,000 optimiser steps if None.
        split
            What to train on and what to hold out, from :func:`r2mae_bio.io.split_genome` (by
            contig, position or regions).
        train_size
            Without a split: share of every contig, from its beginning, to train on; the rest is
            validation. A contig whose rest is shorter than a window is trained on whole; one at
            least has to have a longer one, unless this is 1.
        batch_size
            Windows per optimiser step.
        epoch_windows
            Windows of an epoch, drawn afresh each time; if None, as many as hold the training bases
            once, but between 16 and 2,000 batches.
        both_strands
            Read every window on a strand drawn at random.
        repeat_weight
            Weight in the loss of soft-masked (lower-case) bases. Where the genome has any, the
            losses of repeat and unique bases are reported apart, whatever the weight.
        species_weights
            Share of the windows that each species of the genome gets; in proportion to length if
            None.
        hidden_columns
            With an alignment: what is hidden of a column along with the base of the genome.
            ``"none"``, as GPN-MSA does; ``"clades"``, for each window a number of species drawn
            from 0 to all, the nearest to the reference first; ``"whole"`` columns in half of the
            windows. Validation hides the base alone. Not with ``target="relatives"``, which hides
            columns by the ratio.
        diverged_weight
            With an alignment: weight in the loss of bases that no other species has, in units of
            that of bases which all of them have, averaged over 9 positions. GPN-MSA weights by
            0.1 + phastCons; 0.1 comes near to it.
        accelerator, devices
            As in :class:`pytorch_lightning.Trainer`.
        precision
            As there, with weights in float32 (``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"``), or
            ``"auto"``: bfloat16 matrix products where the processor has them.
        early_stopping
            Stop when the validation loss no longer falls, and return to the best epoch.
        checkpoint_dir
            Folder for checkpoints and ``history.csv``; nothing is written to disk if None.
        checkpoint_every_n_steps
            Save within epochs too.
        resume_from
            A ``checkpoint_dir`` of an earlier run with the same genome and settings; one that has
            no step left to do gives its model.
        progress_bar
            Show loss and bases per second.
        train_kwargs
            Further settings of :class:`r2mae_bio.config.TrainConfig`, such as ``learning_rate`` and
            ``patience``.
        trainer_kwargs
            Passed to :class:`pytorch_lightning.Trainer`. A ``logger`` is told each row of
            :attr:`history`; ``callbacks`` come after those of the run and are
            those of ``pytorch_lightning``.

        Raises
        ------
        ConfigError
            A setting cannot work.
        DataError
            A part of the split has no window with enough known bases.
        TrainingError
            The loss is no longer finite.
        CheckpointError
            ``resume_from`` holds no checkpoint, a damaged one, or one of another run; or
            ``checkpoint_dir`` holds one of another run.
        SetupError
            The model was loaded without a genome.
        """
        genome = self._training_genome()
        epochs, share = 1 if max_epochs is None else max_epochs, train_share(split, train_size)
        shown = {"max_epochs": epochs, "batch_size": batch_size, "train_size": share, "early_stopping": early_stopping}
        config = TrainConfig.of_call(shown, {"learning_rate": 2e-3, **(train_kwargs or {})})
        split = choose_split(genome, split, train_size=train_size, window=self.window)
        if epoch_windows is None:
            least, most = (batch_size * n for n in _BATCHES_PER_EPOCH)
            epoch_windows = int(np.clip(split.train.n_bases // self.window, least, most))
        windows: dict[str, Any] = {
            "epoch_windows": epoch_windows,
            "both_strands": both_strands,
            "repeat_weight": repeat_weight,
            "species_weights": None if species_weights is None else dict(species_weights),
        }
        columns = self.columns_over(genome)
        aligned: dict[str, Any] = {"hidden_columns": hidden_columns, "diverged_weight": diverged_weight}
        precision = choose_precision(precision, accelerator)
        options = train_options(
            accelerator=accelerator,
            devices=devices,
            progress_bar=progress_bar,
            checkpoint_dir=checkpoint_dir,
            checkpoint_every_n_steps=checkpoint_every_n_steps,
            resume_from=resume_from,
            trainer_kwargs={**trainer_kwargs, "precision": precision},
            own=inspect.signature(self.train).parameters,
        )
        loaders = window_loaders(genome, split, window=self.window, batch_size=batch_size, columns=columns, **windows, **aligned)
        if max_epochs is None:
            config = replace(config, max_epochs=max(1, -(-_TARGET_STEPS // len(loaders.train))))
        identity = {"split": split.to_json(), "window": self.window, **windows, "precision": precision}
        findings, objective = measure_floors(genome, split, loaders), DNAObjective(base_composition(genome, split))
        start = None
        if columns is not None:  # not said where there is none, as in runs of older versions
            identity |= {**aligned, "species": self.record.alignment["species"]}
            objective, start = self._of_columns(objective, genome, split, columns, hidden_columns)
            floors = {} if isinstance(start, RelativesStart) else findings["floors"]  # nats of bases are of another kind
            findings["floors"] = floors | start.floors(loaders)
        data = self._attached.mark(genome.fingerprint())
        self._fit(Run(config, options, loaders, objective, data, identity, findings), partial(self._build, start))

    def _of_columns(
        self, objective: DNAObjective, genome: Genome, split: GenomeSplit, columns: AlignedColumns, hidden_columns: str
    ) -> tuple[DNAObjective, ColumnStart | RelativesStart]:
        """What is minimised with an alignment, and where training begins."""
        if self.record.config.target == "genome":
            objective.nearness = torch.from_numpy(columns.nearness())
            return objective, ColumnStart(genome, split, columns, seed=self.record.seed)
        if hidden_columns != "none":
            message = f"hidden_columns={hidden_columns!r} with target='relatives'; needed is 'none', as the ratio hides columns."
            raise ConfigError(message)
        start = RelativesStart(genome, split, columns, seed=self.record.seed)
        return RelativesObjective(start), start

    def _build(self, start: ColumnStart | RelativesStart | None = None) -> DNAMaskedAutoencoder:
        with seeded(derive_seed(self.record.seed, "weights")):
            network = DNAMaskedAutoencoder(self.record.config)
        if start is not None:
            start.put_into(network)
        return network

    def _training_genome(self) -> Genome:
        if self._genome is None:
            message = (
                "This model holds no genome; use DNAMAE.load(path, genome) with one to train on, or make a new DNAMAE(genome)."
            )
            raise SetupError(message)
        return self._genome

    # ------------------------------------------------------------------ fine-tuning

    @answers_scvi(**in_config(FinetuneConfig))
    def finetune(
        self,
        table: pd.DataFrame | Path | str,
        *,
        sequence_key: str = "sequence",
        label_key: str = "label",
        split_key: str = "split",
        config: FinetuneConfig | None = None,
        seed: int = 0,
    ) -> SequenceClassifier:
        """Train a copy of the encoder, end to end, to classify sequences; this model stays as it
        is.

        Parameters
        ----------
        table
            Labelled sequences as a table or a tsv file, see
            :func:`r2mae_bio.io.read_sequence_table`.
        sequence_key, label_key, split_key
            Its columns; splits are called train, dev and test.
        config
            Settings of the training.
        seed
            Of head, order, strands and dropout.

        Returns
        -------
        A classifier with ``predict_proba``, ``evaluate``, ``save`` and ``load``.

        Raises
        ------
        NotTrainedError
            There are no weights yet; :meth:`initialize` makes random ones.
        DataError, SetupError
            The table cannot be used.
        TrainingError
            The loss is no longer finite.
        """
        return finetune_sequences(
            self._network(),
            table,
            sequence_key=sequence_key,
            label_key=label_key,
            split_key=split_key,
            config=config,
            seed=seed,
            window=self.window,
            pretrained=self.checksum(),
        )
