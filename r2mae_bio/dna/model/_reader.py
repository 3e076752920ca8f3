"""A DNA model as a reader of sequences of any length, and its way to folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from r2mae_bio.core._trainable import Trainable
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.genome._genome import Genome, as_genome
from r2mae_bio.dna.model._alignment import AttachedAlignment
from r2mae_bio.dna.model._mean_states import mean_states, stack_tiles
from r2mae_bio.dna.model._predict import predict_hidden
from r2mae_bio.dna.model._record import DNARecord
from r2mae_bio.dna.model._strands import check_codes, hide, in_chunks, log_probs, states
from r2mae_bio.dna.model._tiles import choose_overlap
from r2mae_bio.dna.model._windows import check_questions, read_windows
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
from r2mae_bio.dna.sequences._sequences import read_sequences
from r2mae_bio.dna.sequences._table import encode_sequences

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from r2mae_bio.config import DNAConfig
    from r2mae_bio.dna._protocols import WindowReading
    from r2mae_bio.dna.alignment._alignment import Alignment
    from r2mae_bio.dna.alignment._over_genome import AlignedColumns

    Sequences: TypeAlias = Path | str | Sequence[str] | pd.Series


def contig_lengths(genome: Genome) -> dict[str, int]:
    """Lengths of the contigs in bp, by name."""
    return dict(zip(genome.contigs, genome.lengths.tolist(), strict=True))


class DNAReader(Trainable[DNARecord, DNAMaskedAutoencoder]):
    """A DNA model as a reader of sequences, and its way to folders."""

    _kind: ClassVar[str] = "DNAMAE"
    _genome: Genome | None
    _attached: AttachedAlignment

    # ------------------------------------------------------------------ reading

    def get_latent_representation(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        strand: str = "both",
        overlap: int | None = None,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Embed sequences of any length: the mean state of their known bases.

        A sequence's embedding does not depend on the others, on their order or on ``batch_size``
        (to about 1e-5).

        Parameters
        ----------
        sequences
            A FASTA file, a list or a series of sequences, see :func:`r2mae_bio.io.read_sequences`.
        layer
            Block whose output is taken: 0 is what enters the first, -1 what the prediction is made
            from.
        strand
            ``"both"``, the mean over both strands, for which the reverse complement has the same
            embedding; or ``"+"``.
        overlap
            Bases that neighbouring tiles of a sequence longer than the window share; a quarter of
            the window if None.
        batch_size
            Rows at a time.

        Returns
        -------
        Embedding, float32 (n_sequences, d_model); NaN for a sequence without a known base.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            A setting cannot be used.
        FastaError, DataError
            The sequences cannot be read.
        """
        codes = encode_sequences(read_sequences(sequences).sequences)

        settings: dict[str, Any] = {"layer": layer, "strand": strand, "overlap": overlap, "batch_size": batch_size}
        return mean_states([len(sequence) for sequence in codes], stack_tiles(codes), self, **settings)[0]

    def predict(
        self,
        sequences: Sequences,
        *,
        strand: str = "both",
        hidden_at_once: int = 1,
        overlap: int | None = None,
        batch_size: int | None = None,
    ) -> list[NDArray[np.float32]]:
        """Probabilities of A, C, G and T at every position, given all other bases of the window.

        Parameters
        ----------
        sequences
            As for :meth:`get_latent_representation`.
        strand
            ``"both"``, the normalised geometric mean over both strands, or ``"+"``.
        hidden_at_once
            Bases hidden together in one reading. 1 hides each base alone, which takes as many
            readings as there are bases; 8 takes an eighth of that and differs little where they lie
            far apart.
        overlap, batch_size
            As for :meth:`get_latent_representation`.

        Returns
        -------
        One array for each sequence, float32 (length, 4).

        Raises
        ------
        NotTrainedError, ConfigError, FastaError, DataError
            As for :meth:`get_latent_representation`.
        """
        named = read_sequences(sequences)

        def read(codes: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
            return self.log_probs(codes, hidden, strand=strand, batch_size=batch_size)

        tiling = {"window": self.window, "overlap": choose_overlap(overlap, self.window)}
        return predict_hidden(encode_sequences(named.sequences), read, hidden_at_once=hidden_at_once, **tiling)

    def log_probs(
        self, codes: Any, hidden: Any = None, *, strand: str = "both", batch_size: int | None = None
    ) -> NDArray[np.float32]:
        """Log-probabilities of A, C, G and T at every position, given the bases that are not
        hidden.

        Parameters
        ----------
        codes
            0 to 3 for A, C, G, T and 4 for N, integers (B, L), L at most ``window``; see
            :func:`r2mae_bio.io.encode_bases`. A model with an alignment also takes (B, L, 1 + S):
            behind each base what each of S species has there, 0 to 4, 5 for a gap, 6 where nothing
            is aligned; in codes (B, L) nothing is.
        hidden
            Positions not to be read, bool (B, L); None for none. A model of ``target="relatives"``
            reads the bases there and not the columns, which it weighs with what it expects.
        strand
            ``"both"``: the mean of the log-probabilities over both strands, normalised again; or
            ``"+"``.
        batch_size
            Rows at a time.

        Returns
        -------
        Nats, float32 (B, L, 4).

        Raises
        ------
        NotTrainedError, ConfigError, DataError
            There are no weights, a setting cannot be used, or codes or ``hidden`` have the wrong
            shape or type.
        """
        rows = check_codes(codes, self.window, batch_size, strand, self.config.n_species)
        rows = hide(rows, hidden, relatives=self.config.target == "relatives")
        network, both = self._network(), strand == "both"
        return in_chunks(network, lambda piece: log_probs(network, piece, both=both), rows, batch_size)

    def states(self, codes: Any, *, layer: int = -1, strand: str = "both", batch_size: int | None = None) -> NDArray[np.float32]:
        """State of every base, nothing hidden.

        Parameters
        ----------
        codes, strand, batch_size
            As for :meth:`log_probs`; ``"both"`` is the mean over both strands at each position.
        layer
            As for :meth:`get_latent_representation`.

        Returns
        -------
        float32 (B, L, d_model).

        Raises
        ------
        NotTrainedError, ConfigError, DataError
            As for :meth:`log_probs`.
        """
        rows = check_codes(codes, self.window, batch_size, strand, self.config.n_species)
        network, both = self._network(), strand == "both"
        return in_chunks(network, lambda piece: states(network, piece, layer=layer, both=both), rows, batch_size)

    def columns_over(self, genome: Genome) -> AlignedColumns | None:
        """What the aligned species have at the positions of a genome; verbs that know places ask
        for it.

        Parameters
        ----------
        genome
            A genome whose contigs are those of the alignment's reference.

        Returns
        -------
        The columns; None for a model without an alignment.

        Raises
        ------
        SetupError
            The model was loaded without its alignment, or that is one of another genome.
        """
        return self._attached.over(genome)

    def read_windows(
        self,
        codes: Any,
        *,
        hidden: tuple[Any, Any],
        other: tuple[Any, Any, Any] | None = None,
        means: bool = False,
        strand: str = "both",
        batch_size: int | None = None,
    ) -> WindowReading:
        """Single bases of windows hidden, or replaced by others, each alone.

        Values are those of :meth:`log_probs` and :meth:`states` to about 1e-6, for a fraction of
        the work: a window is read once, and then only what the base reaches.

        Parameters
        ----------
        codes
            Codes of the windows, integers (U, L), L at most ``window``, or (U, L, 1 + S) as for
            :meth:`log_probs`.
        hidden
            Window and position of each base to hide, both (n,).
        other
            Window and position of each base to replace, and the base to put there (0 to 3), each
            (m,).
        means
            Whether the mean states of the windows as they are are wanted.
        strand, batch_size
            As for :meth:`log_probs`; batches are of windows, and of questions.

        Returns
        -------
        ``log_probs``, nats of A, C, G and T for each hidden base, (n, 4); ``means`` (U, d_model),
        or (0, d_model); ``other_means`` (m, d_model): states averaged over the known bases of a
        window. All float32.

        Raises
        ------
        NotTrainedError, ConfigError, DataError
            As for :meth:`log_probs`.
        """
        windows = check_codes(codes, self.window, batch_size, strand, len(self.species))
        shape, (rows, positions) = windows.shape[:2], hidden
        asked = check_questions(rows, positions, np.full(np.shape(rows), UNKNOWN), shape, known=False)
        at, where, bases = other or (np.empty(0, np.int64),) * 3
        replaced = check_questions(at, where, bases, shape, known=True)
        settings: dict[str, Any] = {"means": means, "both": strand == "both", "batch_size": batch_size}
        return read_windows(self._network(), windows, asked, replaced, **settings)

    # ------------------------------------------------------------------ state

    @classmethod
    def load(
        cls,
        path: Path | str,
        genome: Genome | str | os.PathLike[str] | None = None,
        *,
        alignment: Alignment | None = None,
    ) -> Self:
        """Read a model that :meth:`save` wrote, or the newest checkpoint of a training run.

        Parameters
        ----------
        path
            The folder.
        genome
            A genome to train on further, or to resume on; reading sequences needs none.
        alignment
            Of a model that was made with one: an alignment with the same species, needed where
            places of a genome are read (training, variants, regions); sequences need none.

        Returns
        -------
        The model, on the CPU.

        Raises
        ------
        CheckpointError
            The folder is none of a DNA model, or its weights are not those written with its record;
            its subclasses tell damage and a pickle apart.
        FastaError
            The genome cannot be used.
        SetupError
            The alignment lacks a species, or the model reads none.
        """
        model = super().load(path)
        model._attached = AttachedAlignment(alignment, model.record)
        if genome is not None:
            known = model._genome = as_genome(genome)
            model.record.contigs = contig_lengths(known)
        return model

    @property
    def window(self) -> int:
        """Bases read at once."""
        return self.record.window

    @property
    def n_dim(self) -> int:
        """Width of a state."""
        return self.record.config.d_model

    @property
    def config(self) -> DNAConfig:
        """Sizes."""
        return self.record.config

    @property
    def floors(self) -> dict[str, float]:
        """Nats per held-out base of what :attr:`history` has to be compared with: Markov models of
        the training part, by order, and with an alignment ``columns`` (shares of the bases of the
        other species), ``weighted columns`` (species that are alike count less) and ``column
        readout`` (fitted to the training part; where training begins). Of ``target="relatives"``
        alone ``substitutions``, nats per column that every base of the genome is replaced as often
        as in the training part; there training begins.
        """
        return self.record.floors

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the aligned species that are read beside the bases, if there are any."""
        return self.record.species

    def checksum(self) -> str:
        """sha256 of kind, configuration and weights: equal for models that compute the same,
        whatever their history or device; and of the alignment, if one is at hand.

        Returns
        -------
        64 hexadecimal digits.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        """
        return self._attached.mark(super().checksum())

    def describe(self) -> dict[str, str]:
        """What there is to know about it at a glance, as model cards and notebooks show it.

        Returns
        -------
        Text by name.
        """
        record = self.record
        n_bases = sum(record.contigs.values())
        floors = {f"Markov model of order {order}": f"{loss:.4f} nats per base" for order, loss in record.floors.items()}
        return {
            "genome": f"{len(record.contigs):,} contigs, {n_bases:,} bp",
            "window": f"{record.window} bp",
            **super().describe(),
            **floors,
        }

    def __repr__(self) -> str:
        record, config = self.record, self.record.config
        state = f"trained for {len(record.history)} epochs" if self.is_trained else "not trained"
        sizes = f"n_layers={config.n_layers}, d_model={config.d_model}"
        return f"DNAMAE(window={record.window}, mask_ratio={record.law}, {sizes}, seed={record.seed}; {state})"

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> DNARecord:
        return DNARecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: DNARecord) -> DNAMaskedAutoencoder:
        return DNAMaskedAutoencoder(record.config)

    def _after_load(self) -> None:
        self._genome = None
        self._attached = AttachedAlignment(None, self.record)
