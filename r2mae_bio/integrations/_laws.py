"""What all adapters share: the law that a user asked for, and its scope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError
from r2mae_bio.masking import as_ratio_law

if TYPE_CHECKING:
    from r2mae_bio.masking import RatioLaw, Scope

__all__ = ["law_of"]


def law_of(mask_ratio: Any, scope: Any, allowed: tuple[Scope, ...]) -> RatioLaw:
    """The law of the mask ratio.

    Parameters
    ----------
    mask_ratio
        A number, a pair or a law, see :func:`r2mae_bio.masking.as_ratio_law`.
    scope
        One of ``allowed``; if None, that of a law, and the first of ``allowed`` for the others.
    allowed
        Scopes that the adapter knows.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    law = as_ratio_law(mask_ratio)
    chosen = (law.scope if law is mask_ratio else allowed[0]) if scope is None else scope
    if chosen not in allowed:
        message = f"scope is {chosen!r}; needed is {' or '.join(map(repr, allowed))}."
        raise ConfigError(message)
    return replace(law, scope=chosen)
