"""A table of facts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["page"]


def page(title: str, facts: Mapping[str, str], curves: str = "") -> str:
    """A table with a heading, and a drawing below it.

    Parameters
    ----------
    title
        Heading.
    facts
        Text by name; both are escaped.
    curves
        From :func:`curves_svg`.

    Returns
    -------
    HTML that needs nothing else.
    """
    cell = "text-align:left;vertical-align:top;padding:1px 10px 1px 0"
    rows = "".join(
        f'<tr><th style="{cell}">{escape(name)}</th><td style="{cell}">{escape(text)}</td></tr>' for name, text in facts.items()
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table>{curves}</div>"
