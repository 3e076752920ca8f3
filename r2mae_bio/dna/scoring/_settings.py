"""How alleles are scored."""

from __future__ import annotations

from dataclasses import dataclass

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._settings import check_batch_size


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
