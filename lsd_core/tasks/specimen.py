"""Forms in which a sample is displayed: a strip of numbers, a passage of text, a picture, a diagram."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Strip:
    """A sequence of small numbers, drawn as a row of bars."""

    values: tuple[int, ...]
    top: int
    """Largest value there can be."""
    wrong: tuple[bool, ...]
    """Which positions break the task's rule."""


@dataclass(frozen=True)
class Passage:
    """A piece of text."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An image, 8 bits a channel."""

    width: int
    height: int
    channels: int
    """1 (grey) or 3 (RGB)."""
    pixels: bytes
    """Row by row, height * width * channels bytes."""


@dataclass(frozen=True)
class Diagram:
    """A drawing in lines, such as a structural formula."""

    svg: str
    """An SVG document on a ground of its own; it is shown as an image, so that nothing in it runs."""
    caption: str
    """What is drawn, in text."""


Specimen = Strip | Passage | Picture | Diagram
