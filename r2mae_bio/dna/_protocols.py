"""What the verbs and probes on DNA ask of a model, so that one of another package can stand in for
ours.

A model needs no base class, only the members that are asked for:

- by ``tl.embed_sequences`` and ``tl.embed_regions`` those of :class:`StateModel`;
- by ``tl.saturation_mutagenesis`` those of :class:`LikelihoodModel`;
- by ``tl.score_variants`` those of :class:`VariantModel`, which are both;
- by it, if the model has them, those of :class:`WindowModel`, which saves most of the readings;
- by these two verbs instead those of :class:`PlacedModel`, which knows bases by where they stand;
- by ``evaluate.sequence_probe`` those of :class:`SequenceModel`.

One that reads the columns of an alignment beside the bases also has ``columns_over``, see
:class:`AlignedModel`.

Sequences reach a model as codes: integers (B, L), 0 to 3 for A, C, G and T, 4 for a base that is
not known, all rows of a call of one length of at most ``window``. Answers are NumPy arrays, row by
row and base by base in the same order. Where ``strand`` is ``"both"``, they are the mean over both
strands at each position, those of the reverse complement turned back; see
:func:`r2mae_bio.io.reverse_complement`.

Examples
--------
A model of another package, wrapped. Here the state of a base is its letter, so that the embedding
of a sequence is its composition.

>>> import numpy as np, r2mae_bio as rb
>>> class Letters:
...     window, n_dim = 512, 5
...
...     def checksum(self):
...         return "letters 1"  # the name and version of the weights
...
...     def states(self, codes, *, layer=-1, strand="both", batch_size=None):
...         forward = self.read(codes)
...         if strand == "+":
...             return forward
...         turned = self.read(rb.io.reverse_complement(codes))[:, ::-1]
...         return (forward + turned) / 2
...
...     def read(self, codes):
...         return np.eye(5, dtype=np.float32)[codes]
>>> rb.tl.embed_sequences(["AACG", "GATTACAN"], Letters(), strand="+").obsm["X_r2mae"].round(2)
array([[0.5 , 0.25, 0.25, 0.  , 0.  ],
       [0.43, 0.14, 0.14, 0.29, 0.  ]], dtype=float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome


class DNAModel(Protocol):
    """What every model of DNA tells of itself."""

    @property
    def window(self) -> int:
        """Longest sequence read at once, bp."""
        ...

    def checksum(self) -> str:
        """Text that differs where configuration or weights do, such as their SHA-256; it is kept
        with results, and a run that was interrupted goes on only with the same.
        """
        ...


class StateModel(DNAModel, Protocol):
    """Turns bases into states."""

    @property
    def n_dim(self) -> int:
        """Width of a state, D."""
        ...

    def states(self, codes: Any, *, layer: int = -1, strand: str = "both", batch_size: int | None = None) -> NDArray[np.float32]:
        """State of every base, nothing hidden.

        Parameters
        ----------
        codes
            Codes, uint8 (B, L), L at most ``window``.
        layer
            Layer whose states are wanted; -1 is the last one.
        strand
            ``"both"`` for the mean over both strands, or ``"+"``.
        batch_size
            Rows to read at a time, B being any number; the model's choice if None.

        Returns
        -------
        float32 (B, L, D).
        """
        ...


class LikelihoodModel(DNAModel, Protocol):
    """Predicts bases from the others."""

    def log_probs(self, codes: Any, hidden: Any, *, strand: str = "both", batch_size: int | None = None) -> NDArray[np.float32]:
        """Log-probabilities of A, C, G and T at every position, given the bases that are not
        hidden.

        Parameters
        ----------
        codes
            Codes, uint8 (B, L), L at most ``window``.
        hidden
            Positions not to be read, bool (B, L). Answers are used at these alone.
        strand, batch_size
            As for :meth:`StateModel.states`; the mean over both strands is normalised again.

        Returns
        -------
        Nats, float32 (B, L, 4).
        """
        ...


class VariantModel(StateModel, LikelihoodModel, Protocol):
    """What scoring variants needs; ``n_dim`` and ``states`` only for the embedding distance."""


class WindowReading(NamedTuple):
    """What a model says of windows that it was asked about."""

    log_probs: NDArray[np.float32]
    """Nats of A, C, G and T for each hidden base, (n, 4)."""
    means: NDArray[np.float32]
    """Mean state over the known bases of each window, (U, D); (0, D) if it was not wanted."""
    other_means: NDArray[np.float32]
    """The same for each window with another base, (m, D)."""


class WindowModel(VariantModel, Protocol):
    """Answers many questions about a window at the price of few readings. A model that has this
    member is asked by it instead of ``log_probs`` and ``states``.
    """

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

        Parameters
        ----------
        codes
            Codes of the windows, uint8 (U, L), L at most ``window``.
        hidden
            Window and position of each base to hide, both (n,).
        other
            Window and position of each base to replace, and the base to put there, each (m,).
        means
            Whether the mean states of the windows as they are are wanted.
        strand, batch_size
            As for :meth:`StateModel.states`.

        Returns
        -------
        The answers.
        """
        ...


class PlacedModel(DNAModel, Protocol):
    """Predicts bases by where they stand on the genome, such as the columns of an alignment; it
    reads no sequence. A model that has this member is asked for no other.
    """

    def log_probs_at(self, contigs: Sequence[str], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Log-probabilities of A, C, G and T at single positions.

        Parameters
        ----------
        contigs
            Name of the contig of each position, as in ``Genome.contigs``; n of them.
        positions
            From 0, (n,); -1 for a base that has no place on the genome, being inserted or beyond
            the ends of its contig.

        Returns
        -------
        Nats, float32 (n, 4).
        """
        ...


class Columns(Protocol):
    """What other species have at the positions of a genome: codes 0 to 4 as of bases, 5 for a gap
    and 6 where nothing is aligned.
    """

    def windows(
        self, starts: NDArray[np.int64], length: int, *, contigs: Any = None, reverse: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """Columns of windows, uint8 (B, L, S), arguments as for
        :meth:`r2mae_bio.io.Genome.windows`.
        """
        ...

    def at(self, contigs: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Columns at single positions, uint8 (..., S), of contigs by their numbers (...); 6 where
        a position is not on its contig.
        """
        ...


class AlignedModel(VariantModel, Protocol):
    """Reads what other species have at the positions of a genome. Where it is asked about places
    of one, its codes are uint8 (B, L, 1 + S): the base, hidden or not, and the column behind it.
    """

    def columns_over(self, genome: Genome) -> Columns | None:
        """Columns over a genome; None if this model reads none.

        Parameters
        ----------
        genome
            The genome.
        """
        ...


class SequenceModel(StateModel, Protocol):
    """A pretrained model of bases, such as ``DNAMAE``, that can be probed and fine-tuned.

    Probes never ask for the checksum, and of :meth:`states` for the last layer of both strands
    alone.
    """

    @property
    def network(self) -> Any:
        """The network: a :class:`torch.nn.Module` with ``states(codes) -> (B, L, D)`` and
        ``config.d_model``, which is D. It is fine-tuned, and built anew with random weights as a
        control unless the model has a method ``untrained(seed=...)``.
        """
        ...
