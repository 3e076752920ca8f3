"""What all adapters share: the law that a user asked for, and its scope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError
from r2mae_bio.masking import as_ratio_law

if TYPE_CHECKING:
    from r2mae_bio.masking import RatioLaw

__all__ = ["law_of", "missing"]


def law_of(mask_ratio: Any, scope: str | None, allowed: tuple[str, ...]) -> RatioLaw:
    """The law of the mask ratio.

    Parameters
    ----------
    mask_ratio
        A number, a pair or a law, see :func:`r2mae_bio.masking.as_ratio_law`.
    scope
        One of ``allowed``; if None, that of a law, and the first of ``allowed`` for the others.
    allowed
        Scopes that the adapter knows. Whatever is none of ``"batch"`` and ``"row"`` draws one ratio
        for a minibatch.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    law = as_ratio_law(mask_ratio)
    scope = (law.scope if law is mask_ratio else allowed[0]) if scope is None else scope
    if scope not in allowed:
        message = f"scope is {scope!r}; needed is {' or '.join(map(repr, allowed))}."
        raise ConfigError(message)
    return replace(law, scope="row" if scope == "row" else "batch")


def missing(error: ImportError, *, package: str, extra: str) -> ImportError:
    """An error that says how to install what an adapter is for.

    Parameters
    ----------
    error
        What Python said.
    package
        What was not found.
    extra
        What brings it.
    """
    message = (
        f'r2mae_bio.integrations.{extra} needs {package}, which cannot be imported ({error}): pip install "r2mae_bio[{extra}]".'
    )
    return ImportError(message)
