"""Sizes of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from r2mae_bio.config._settings import Settings, check_setting

__all__ = ["DNAConfig", "GeneConfig"]

_DNA_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "small": {"d_model": 384, "n_layers": 12, "n_heads": 6, "attention_every": 2},
    "base": {"d_model": 768, "n_layers": 16, "n_heads": 12, "attention_every": 1},
}

_GENE_LAYERS = {"transformer": 1, "mlp": 2}
"""A second transformer block takes time and brings nothing."""


@dataclass(frozen=True)
class GeneConfig(Settings):
    """Sizes and likelihood of a gene model."""

    encoder: Literal["transformer", "mlp"] = "transformer"
    """Which encoder reads the visible genes."""
    gene_likelihood: Literal["nb", "zinb", "poisson", "normal"] = "nb"
    """Distribution of a hidden gene; ``"normal"`` is for log-normalised input."""
    n_latent: int = 64
    """Dimensions of the embedding."""
    n_factors: int = 32
    """Factors of the least-squares read (transformer)."""
    n_tokens: int = 8
    """Latent tokens of the transformer."""
    d_model: int = 64
    """Width of a latent token."""
    n_heads: int = 4
    """Attention heads."""
    n_layers: int | None = None
    """Transformer blocks, or hidden layers of the MLP; None for one block, or two layers."""
    n_hidden: int = 128
    """Width of the decoder, and of the MLP encoder."""
    dropout: float = 0.1
    """Probability of dropping a feature in the encoder and the decoder."""
    start: Literal["factors", "random"] = "factors"
    """Start the transformer at a factor analysis of the training cells, or at random weights."""
    noise_pooling: float = 0.3
    """How far that factor analysis draws the noise of each gene to the mean of all, from 0 (its
    own) to 1 (the same for all: probabilistic principal components).
    """
    content: Literal["sqrt", "log"] = "sqrt"
    """What the encoder reads of a count scaled to depth: its square root, or log(1 + count)."""
    depth_moments: bool = False
    """Centre and scale what the encoder reads of a count by the mean and spread that are expected
    at the depth of the cell, instead of that of an average cell: for whole cells of a tenth
    of the reference's depth and less; panels lose by it. Needs counts and ``content="sqrt"``.
    """
    panel_reader: bool = True
    """Embed cells of a panel as whole cells would be embedded, as far as training cells tell
    (transformer): at the depth that the composition of the cell tells, not that of an average cell
    (counts, ``content="sqrt"``, no ``depth_moments``), and led back by a network that has seen
    training cells through random panels of their genes. Without effect on the rest of the training,
    on predictions, and on cells of which all genes were measured.
    """
    use_observed_lib_size: bool = False
    """Take the depth from all measured genes, hidden ones included, instead of the visible ones."""

    def __post_init__(self) -> None:
        if self.n_layers is None:
            object.__setattr__(self, "n_layers", _GENE_LAYERS[self.encoder])
        roots = self.content == "sqrt" and self.gene_likelihood != "normal"
        check_setting(
            roots or not self.depth_moments,
            f"depth_moments needs counts and content='sqrt'; content is {self.content!r}, "
            f"gene_likelihood {self.gene_likelihood!r}. Leave it out.",
        )
        pooling = self.noise_pooling
        check_setting(0 <= pooling <= 1, f"noise_pooling is {pooling!r}; needed is a number from 0 to 1.")
        for name in ("n_latent", "n_factors", "n_tokens", "d_model", "n_heads", "n_layers", "n_hidden"):
            value = getattr(self, name)
            check_setting(value > 0, f"{name} is {value!r}; needed is a positive integer.")
        check_setting(0 <= self.dropout < 1, f"dropout is {self.dropout}; needed is a probability below 1.")


@dataclass(frozen=True)
class DNAConfig(Settings):
    """Sizes of a DNA model; ``DNAConfig.preset("tiny")`` and its like are the ones that were
    tried.
    """

    d_model: int = 128
    """Width of the state of a base."""
    n_layers: int = 6
    """Blocks."""
    n_heads: int = 4
    """Attention heads."""
    attention_every: int = 6
    """One block in so many attends to the whole window; the others see their surroundings by
    convolution alone.
    """
    kernel: int = 9
    """Taps of the convolution in each block."""
    dilations: tuple[int, ...] = (1, 2)
    """Distances between its taps, bp, in turn from block to block."""
    stem_kernel: int = 9
    """Taps of the convolution that reads the bases."""
    expansion: int = 4
    """Width of a feed-forward layer in units of ``d_model``."""
    dropout: float = 0.0
    """Probability of dropping a feature of a branch."""
    hiding: Literal["replace", "drop"] = "replace"
    """Keep the slots of hidden bases, without content, or let the encoder see the visible bases
    alone (no convolutions then).
    """
    n_species: int = 0
    """Other species whose bases are read at each position; as many as the alignment has."""
    target: Literal["genome", "relatives"] = "genome"
    """What is hidden and predicted: bases of the genome, or what those species have there."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))  # a list when it comes from JSON
        for name in ("d_model", "n_layers", "n_heads", "attention_every", "kernel", "stem_kernel", "expansion"):
            value = getattr(self, name)
            check_setting(value > 0, f"{name} is {value!r}; needed is a positive integer.")
        check_setting(self.n_species >= 0, f"n_species is {self.n_species}; needed is 0 or the number of aligned species.")
        check_setting(
            self.target == "genome" or (self.target == "relatives" and self.n_species > 0),
            f"target is {self.target!r} with {self.n_species} aligned species; needed is 'genome', or 'relatives' with an alignment.",
        )
        for name in ("kernel", "stem_kernel"):
            check_setting(getattr(self, name) % 2 == 1, f"{name} is {getattr(self, name)}; needed is an odd number of taps.")
        width = self.d_model / self.n_heads
        check_setting(
            width % 2 == 0, f"d_model={self.d_model} gives heads of {width:g} features; needed is an even whole number."
        )
        check_setting(
            bool(self.dilations) and all(d > 0 for d in self.dilations),
            f"dilations is {self.dilations}; needed are positive integers.",
        )
        check_setting(0 <= self.dropout < 1, f"dropout is {self.dropout}; needed is a probability below 1.")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Sizes by name.

        Parameters
        ----------
        name
            ``"tiny"`` (about a million weights; minutes on a CPU), ``"small"`` (about 20 million)
            or ``"base"`` (about 110 million).
        changes
            Settings that differ from the preset.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            There is no such preset, or a setting is unknown or cannot work.
        """
        check_setting(name in _DNA_PRESETS, f"preset is {name!r}; needed is one of {sorted(_DNA_PRESETS)}.")
        return cls(**{**_DNA_PRESETS[name], **changes})
