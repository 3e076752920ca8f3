"""Models in notebooks: what names and texts hold is shown, not run."""

from __future__ import annotations

from xml.etree import ElementTree

from r2mae_bio._html._curves import curves_svg
from r2mae_bio._html._page import page


def test_a_page_is_well_formed_and_escapes() -> None:
    text = page("A <model>", {"ratio & law": "<script>alert(1)</script>"}, curves_svg({"train_loss": [2.0, 1.0]}))
    assert "<script>" not in text
    tree = ElementTree.fromstring(text)
    assert [cell.text for cell in tree.iter("td")] == ["<script>alert(1)</script>"]
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}polyline"))) == 1
