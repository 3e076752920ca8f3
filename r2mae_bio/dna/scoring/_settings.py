"""How alleles are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna.scoring._placed import is_placed
from r2mae_bio.masking._ratio import as_ratio_law

if TYPE_CHECKING:
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.scoring._neutral import NeutralExpectation
    from r2mae_bio.masking._ratio import RatioLaw


@dataclass(frozen=True)
class ScoreSettings:
    """Settings that were checked against the model."""

    context: int
    """Width of a window, bp."""
    flank: int
    """Bases scored on either side of a change that is not a single base, bp."""
    max_length: int
    """Most bases that an allele removes or inserts and is scored, bp."""
    embedding_distance: bool
    """Whether the distance of the mean states is computed."""
    batch_size: int | None
    """Windows the model reads at a time."""
    neutral: NeutralExpectation | None = None
    """What single-base changes are compared with; None for no calibrated value."""
    n_masks: int = 0
    """Random masks under which single-base changes are scored again."""
    mask_ratio: RatioLaw | None = None
    """Law of their share of hidden bases; None without masks."""

    def identity(self) -> dict[str, Any]:
        """What decides the values, as plain data; what is not asked for does not stand in it."""
        found = {name: getattr(self, name) for name in ("context", "flank", "max_length", "embedding_distance", "batch_size")}
        if self.neutral is not None:
            found["neutral"] = self.neutral.digest()
        if self.mask_ratio is not None:
            found |= {"n_masks": self.n_masks, "mask_ratio": self.mask_ratio.to_json()}
        return found


def choose_settings(
    window: int,
    *,
    context: int | None,
    flank: int,
    max_length: int | None,
    embedding_distance: bool,
    batch_size: int | None,
) -> ScoreSettings:
    """Fill in what the user left open, and refuse what cannot be.

    Parameters
    ----------
    window
        Longest window that the model reads, bp.
    context, flank, max_length, embedding_distance, batch_size
        See :class:`ScoreSettings`; ``context`` is the model's window if None, ``max_length`` what
        fits into it beside the flanks.

    Returns
    -------
    The settings.

    Raises
    ------
    ConfigError
        A number is out of range.
    """
    context = window if context is None else context
    if not 1 <= context <= window:
        message = f"context is {context} bp; the model reads windows of 1 to {window}. Leave it out for the widest."
        raise ConfigError(message)
    room = context - 2 * flank
    if flank < 1 or room < 1:
        message = f"flank is {flank} bp; needed is at least 1, and less than half of the context of {context} bp."
        raise ConfigError(message)
    if max_length is not None and max_length < 1:
        message = f"max_length is {max_length}; it must be at least 1, or None."
        raise ConfigError(message)
    if batch_size is not None:
        check_batch_size(batch_size, "windows")
    longest = room if max_length is None else min(max_length, room)
    return ScoreSettings(context, flank, longest, embedding_distance, batch_size)


def with_extras(
    settings: ScoreSettings, model: Any, genome: Genome, *, neutral: NeutralExpectation | None, n_masks: int, mask_ratio: Any
) -> ScoreSettings:
    """Settings with what is computed on request.

    Parameters
    ----------
    settings
        The settings.
    model, genome
        What the scores are made with.
    neutral, n_masks
        See :class:`ScoreSettings`.
    mask_ratio
        A number, a pair or a law.

    Returns
    -------
    The settings.

    Raises
    ------
    ConfigError
        The expectation belongs to other scores, or the masks cannot be drawn.
    """
    if neutral is not None:
        neutral.check(genome, model, settings.context)
    if isinstance(n_masks, bool) or n_masks < 0 or n_masks % 2:
        message = f"n_masks is {n_masks!r}; needed is an even number, as masks come with their mirror images, or 0 for none."
        raise ConfigError(message)
    if n_masks and is_placed(model):
        message = (
            f"n_masks is {n_masks}, but this model knows bases by where they stand and reads no context to hide; leave it out."
        )
        raise ConfigError(message)
    return replace(settings, neutral=neutral, n_masks=n_masks, mask_ratio=as_ratio_law(mask_ratio) if n_masks else None)
