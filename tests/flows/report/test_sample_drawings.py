"""Samples as HTML: what a task shows becomes text or an image that holds all it needs, and nothing in it runs."""

import base64
import re

from flows.report.sample_drawings import draw
from lsd_core.tasks.specimen import Diagram, Passage, Picture, Strip

SVG = "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def test_a_diagram_is_an_image_with_its_caption_below() -> None:
    drawn = str(draw(Diagram(SVG, 'C<1>"')))
    assert drawn.count("C&lt;1&gt;&#34;") == 2  # for those who see it and for those who do not
    (encoded,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', drawn)
    assert base64.b64decode(encoded).decode() == SVG
    assert "<script" not in drawn
    assert "<svg" not in drawn


def test_text_is_text() -> None:
    assert str(draw(Passage("<b>"))) == '<p class="passage">&lt;b&gt;</p>'


def test_pictures_and_strips_are_drawn_whole() -> None:
    assert "data:image/png;base64," in draw(Picture(2, 1, 1, b"\x00\xff"))
    assert "3 tokens, 1 break the rule" in draw(Strip((1, 2, 3), 3, (False, True, False)))
