"""Curves in notebooks: the right way up, and none of nothing."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from r2mae_bio._html._curves import curves_svg


def test_curves_go_down_the_page_as_the_loss_falls() -> None:
    svg = ElementTree.fromstring(curves_svg({"a": [3.0, 2.0, 1.0], "b": [3.0, math.nan, 3.0]}, level=4.0, level_name="blind"))
    lines = [line.attrib["points"].split() for line in svg.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(line) for line in lines] == [3, 2]  # what is not known is left out
    heights = [float(point.split(",")[1]) for point in lines[0]]
    assert heights == sorted(heights)
    across = [float(point.split(",")[0]) for point in lines[0]]
    assert across == sorted(across)
    text = " ".join(svg.itertext())
    assert "blind" in text
    assert "3 epochs" in text


def test_nothing_is_drawn_of_nothing() -> None:
    assert curves_svg({"a": [], "b": [1.0], "c": [math.nan, math.nan]}, level=1.0) == ""
