"""Shapes of a drawing in pixels, as SVG: strokes, outlines, circles, text."""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

Point = tuple[float, float]


@dataclass(frozen=True)
class Path:
    """Strokes through points, or outlines where they are closed."""

    css: str
    strokes: tuple[tuple[Point, ...], ...]
    closed: bool = False
    title: str = ""
    """Said when pointed at."""

    def svg(self) -> Markup:
        end = "z" if self.closed else ""
        path = "".join(f"M{' '.join(f'{x:.1f},{y:.1f}' for x, y in stroke)}{end}" for stroke in self.strokes)
        return Markup('<path class="{}" d="{}">{}</path>').format(self.css, path, _hover(self.title))


@dataclass(frozen=True)
class Circle:
    """A round mark."""

    css: str
    at: Point
    radius: float
    title: str = ""

    def svg(self) -> Markup:
        mark = '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}">{}</circle>'
        return Markup(mark).format(self.css, *self.at, self.radius, _hover(self.title))


@dataclass(frozen=True)
class Text:
    """Words at a place; `turned` ones run upwards."""

    css: str
    at: Point
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    turned: bool = False

    def svg(self) -> Markup:
        (x, y), begin = self.at, Markup("")
        if self.anchor != "start":
            begin = Markup(' text-anchor="{}"').format(self.anchor)
        place = (
            f'transform="translate({x:.1f} {y:.1f}) rotate(-90)"'
            if self.turned
            else f'x="{x:.1f}" y="{y:.1f}"'
        )
        return Markup('<text class="{}" {}{}>{}</text>').format(self.css, Markup(place), begin, self.text)


Shape = Path | Circle | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on a sheet; `label` is read out where it cannot be seen."""

    shapes: tuple[Shape, ...]
    width: int
    height: int
    label: str
    nfe: int | None = None
    """The budget that it shows, where it is one."""

    def __html__(self) -> str:
        return self.svg()

    def svg(self) -> Markup:
        return framed(
            Markup("").join(shape.svg() for shape in self.shapes), self.width, self.height, self.label
        )


def framed(body: Markup, width: int, height: int, label: str) -> Markup:
    """An `<svg>` of this size around a body."""
    head = '<svg role="img" aria-label="{}" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
    return Markup(head).format(label, w=width, h=height) + body + Markup("</svg>")


def _hover(title: str) -> Markup:
    return Markup("<title>{}</title>").format(title) if title else Markup("")
