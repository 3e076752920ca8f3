"""Curves as SVG."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["curves_svg"]

_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73")
_WIDTH, _HEIGHT, _MARGIN = 300, 110, 34


def curves_svg(curves: Mapping[str, Sequence[float]], *, level: float = math.nan, level_name: str = "", unit: str = "") -> str:
    """Curves over epochs, with a dotted line at a level to be beaten.

    Parameters
    ----------
    curves
        Values by name, one per epoch; such as are not finite are left out.
    level, level_name
        Height and name of the line; none if NaN.
    unit
        Of the values.

    Returns
    -------
    An ``<svg>``; empty text if no curve has two points.
    """
    points = {name: [(i, y) for i, y in enumerate(values) if math.isfinite(y)] for name, values in curves.items()}
    points = {name: found for name, found in points.items() if len(found) > 1}
    if not points:
        return ""
    heights = [y for found in points.values() for _, y in found] + ([level] if math.isfinite(level) else [])
    low, high, last = min(heights), max(heights), max(found[-1][0] for found in points.values())
    drawn, names = [], []
    for colour, (name, found) in zip(_COLOURS, points.items(), strict=False):
        line = " ".join(f"{_x(i, last):.1f},{_y(y, low, high):.1f}" for i, y in found)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        names.append(f'<tspan fill="{colour}">{escape(name)}</tspan>')
    if math.isfinite(level):
        at = _y(level, low, high)
        drawn.append(_line(_MARGIN, at, _WIDTH - 4, at, dashed=True))
        names.append(f"<tspan>··· {escape(level_name)}</tspan>")
    return _frame(drawn, names, (low, high), last + 1, unit)


def _frame(drawn: list[str], names: list[str], limits: tuple[float, float], n_epochs: int, unit: str) -> str:
    floor = _HEIGHT - 18
    text = 'fill="currentColor" font-size="9" font-family="sans-serif"'
    parts = [
        *drawn,
        _line(_MARGIN, floor, _WIDTH - 4, floor),
        _line(_MARGIN, 14, _MARGIN, floor),
        f'<text x="{_MARGIN - 3}" y="{floor}" text-anchor="end" {text}>{limits[0]:.3g}</text>',
        f'<text x="{_MARGIN - 3}" y="20" text-anchor="end" {text}>{limits[1]:.3g}</text>',
        f'<text x="{_WIDTH - 4}" y="{_HEIGHT - 6}" text-anchor="end" {text}>{n_epochs} epochs</text>',
        f'<text x="{_MARGIN}" y="{_HEIGHT - 6}" {text}>{escape(unit)}</text>',
        f'<text x="{_MARGIN + 4}" y="9" {text}>{" · ".join(names)}</text>',
    ]
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="2 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" stroke-width="0.8"{dashes}/>'


def _x(epoch: int, last: int) -> float:
    return _MARGIN + (_WIDTH - 4 - _MARGIN) * epoch / last


def _y(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return _HEIGHT - 20 - (_HEIGHT - 38) * share
