"""Small charts as shapes: axes, lines, bands, error bars, bars. One unit is one CSS pixel.

A page holds them as inline SVG, `png.py` paints the same shapes. Every chart is as wide as a telephone shows it, so
it is never shrunk and its words stay readable. What a shape looks like is its class in `palette.py`; `c-<name>` is
the colour, so that one method looks the same everywhere, day and night.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from flows.report.shapes import Circle, Drawing, Path, Point, Shape, Text

WIDTH, HEIGHT = 350, 270
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 26, 42
LINE = 12  # between lines of words


@dataclass(frozen=True)
class Axis:
    """Maps values to pixels, straight or by the logarithm."""

    low: float
    high: float
    label: str
    kind: Literal["linear", "log"] = "linear"
    ticks: tuple[float, ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies between the ends, in [0, 1]."""
        if self.kind == "log":
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def axis(
    values: Sequence[float],
    label: str,
    kind: Literal["linear", "log"] = "linear",
    ticks: Sequence[float] = (),
    pad: float = 0.06,
) -> Axis:
    """An axis that holds all values with a little room, and round ticks; no value that has no logarithm."""
    usable = [value for value in values if math.isfinite(value) and (kind == "linear" or value > 0)] or [1.0]
    low, high = min(usable), max(usable)
    if kind == "log":
        room = math.log(high / low) * pad or 0.12
        low, high = low * math.exp(-room), high * math.exp(room)
    else:
        room = (high - low) * pad or abs(high) * 0.1 or 1.0
        low, high = low - room, high + room
    chosen = tuple(ticks) or (log_ticks(low, high) if kind == "log" else round_ticks(low, high))
    return Axis(low, high, label, kind, chosen)


def round_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten inside [low, high], at most `most` of them."""
    base = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(base * m for m in (1, 2, 5, 10, 20) if (high - low) / (base * m) <= most)
    return tuple(round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1))


def log_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Powers of ten inside [low, high]; where they are few, also 2 and 5 times them, or any round numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**p for p in powers for m in multiples if low <= m * 10.0**p <= high]
        if len(ticks) < 3:
            return round_ticks(low, high, most)
        if len(ticks) <= most:
            return tuple(ticks)
    return tuple(ticks[:: math.ceil(len(ticks) / most)])


def number(value: float) -> str:
    """A tick as people write it."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.4g}"


@dataclass
class Chart:
    """One chart in the making; `drawn()` is the finished drawing."""

    title: str
    x: Axis
    y: Axis
    described: str = ""
    """Read out to a person who cannot see it."""
    nfe: int | None = None
    """The budget that it shows, where it is one."""
    width: int = WIDTH
    height: int = HEIGHT
    shapes: list[Shape] = field(default_factory=list)

    def at(self, point: Point) -> Point:
        """Where a point of the chart's values lies on the sheet."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        x = LEFT + self.x.share(point[0]) * (right - LEFT)
        return x, bottom - self.y.share(point[1]) * (bottom - TOP)

    def line(self, points: Sequence[Point], colour: str, style: str = "") -> None:
        """Straight lines through the points."""
        self.shapes.append(Path(f"line c-{colour} {style}".strip(), (tuple(map(self.at, points)),)))

    def steps(self, points: Sequence[Point], colour: str, style: str = "") -> None:
        """A staircase: each value holds until the next."""
        corners = [corner for (x, y), (u, _) in pairwise(points) for corner in ((x, y), (u, y))]
        self.line([*corners, points[-1]], colour, style)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], colour: str) -> None:
        """What lies between two lines."""
        outline = tuple(map(self.at, [*lower, *reversed(upper)]))
        self.shapes.append(Path(f"band c-{colour}", (outline,), closed=True))

    def dot(self, point: Point, colour: str, title: str, big: bool = False) -> None:
        """A mark that tells its numbers when pointed at; its form is said by its class."""
        (x, y), radius, css = self.at(point), 5.5 if big else 3.5, f"dot c-{colour}"
        if "square" in colour:
            corners = ((x - radius, y - radius), (x + radius, y - radius), (x + radius, y + radius))
            self.shapes.append(Path(css, ((*corners, (x - radius, y + radius)),), closed=True, title=title))
        elif "diamond" in colour:
            half = 1.35 * radius
            corners = ((x - half, y), (x, y - half), (x + half, y))
            self.shapes.append(Path(css, ((*corners, (x, y + half)),), closed=True, title=title))
        else:
            self.shapes.append(Circle(css, (x, y), radius, title))

    def whisker(self, x: float, low: float, high: float, colour: str) -> None:
        """An interval along y."""
        (at, bottom), (_, top) = self.at((x, low)), self.at((x, high))
        ends = tuple(((at - 3, y), (at + 3, y)) for y in (top, bottom))
        self.shapes.append(Path(f"whisker c-{colour}", (*ends, ((at, top), (at, bottom)))))

    def levels(self, named: Sequence[tuple[float, str]]) -> None:
        """Dotted lines across, each named above its right end and above the names of the lines below."""
        right, lowest = self.width - RIGHT, math.inf
        for at, label in sorted(((self.at((self.x.low, y))[1], label) for y, label in named), reverse=True):
            lowest = min(at - 5, lowest - LINE)
            self.shapes.append(Path("level", (((LEFT, at), (right, at)),)))
            self.shapes.append(Text("note", (right - 2, lowest), label, "end"))

    def note(self, x: float, y: float, text: str) -> None:
        """Words at a place of the chart's values."""
        self.shapes.append(Text("note", self.at((x, y)), text))

    def drawn(self) -> Drawing:
        """The drawing, axes first."""
        label = f"{self.title}. {self.described}".strip()
        return Drawing((*self._axes(), *self.shapes), self.width, self.height, label, self.nfe)

    def _axes(self) -> list[Shape]:
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts: list[Shape] = [Text("title", (LEFT, 15), self.title)]
        for tick in self.y.ticks:
            _, y = self.at((self.x.low, tick))
            parts.append(Path("grid", (((LEFT, y), (right, y)),)))
            parts.append(Text("tick", (LEFT - 6, y + 4), number(tick), "end"))
        for tick in self.x.ticks:
            x, _ = self.at((tick, self.y.low))
            parts.append(Text("tick", (x, bottom + 17), number(tick), "middle"))
        parts.append(Path("frame", (((LEFT, TOP), (LEFT, bottom), (right, bottom)),)))
        parts.append(Text("label", ((LEFT + right) / 2, self.height - 7), self.x.label, "middle"))
        parts.append(Text("label", (11, (TOP + bottom) / 2), self.y.label, "middle", turned=True))
        return parts


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart."""

    label: str
    value: float
    colour: str
    text: str
    error: float = 0.0


def bars(
    title: str, rows: Sequence[Bar], described: str = "", width: int = WIDTH, nfe: int | None = None
) -> Drawing:
    """Horizontal bars from zero, each with its name above it and its number at its end."""
    top = max([row.value + row.error for row in rows if math.isfinite(row.value)] or [1.0]) or 1.0
    room = width - 106
    parts: list[Shape] = [Text("title", (2, 15), title)]
    for index, row in enumerate(rows):
        y, end = 44 + 34 * index, 2 + max(1.5, row.value / top * room)
        parts.append(Text(f"tick c-{row.colour}", (2, y - 5), row.label))
        outline = ((2.0, y), (end, y), (end, y + 11), (2.0, y + 11))
        parts.append(Path(f"bar c-{row.colour}", (outline,), closed=True))
        if row.error > 0:
            half = row.error / top * room
            parts.append(
                Path(
                    f"whisker ink c-{row.colour}", (((max(2.0, end - half), y + 5.5), (end + half, y + 5.5)),)
                )
            )
            end += half
        parts.append(Text(f"value c-{row.colour}", (end + 6, y + 10), row.text))
    return Drawing(tuple(parts), width, 34 + 34 * len(rows), f"{title}. {described}".strip(), nfe)
