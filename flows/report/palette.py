"""Colours, marks and strokes of every chart and page, by day and by night; the style sheet is made of them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.report.table_rows import REFERENCES, TEACHER, Row
from lsd_core.distillation.methods import METHODS
from lsd_core.samplers import place_of

DAY, NIGHT = 0, 1
BASE = {
    "paper": ("#ffffff", "#14161a"),
    "sheet": ("#f6f7f9", "#1c1f25"),
    "ink": ("#16181d", "#eceff4"),
    "soft": ("#5a6270", "#a4adba"),
    "rule": ("#dfe3e8", "#343a44"),
    "accent": ("#0b63ce", "#6db0ff"),
    "good": ("#127a43", "#5fd08c"),
    "bad": ("#c62828", "#ff7b72"),
}
COLOURS = (  # of the methods in the order of their catalogue, then of whatever else is drawn
    ("#7a828e", "#9aa3b0"),
    ("#4a90a4", "#6fbcd2"),
    ("#a0739b", "#d0a0ca"),
    ("#9a7b4f", "#cfae7e"),
    ("#5f8a3c", "#96c76d"),
    ("#1f6fd6", "#6aa8ff"),
    ("#7b3fc4", "#b58cf0"),
    ("#b06fe0", "#d6aef5"),
    ("#b8860b", "#e6bd4f"),
    ("#d9480f", "#ff8a4c"),
    ("#c2255c", "#f783ac"),
    ("#127a43", "#5fd08c"),
    ("#0b7285", "#66d9e8"),
    ("#364fc7", "#91a7ff"),
    ("#862e9c", "#da77f2"),
    ("#5c5f66", "#adb5bd"),
    ("#a61e4d", "#faa2c1"),
    ("#2b8a3e", "#8ce99a"),
)
MARKS = ("", "open", "square", "square open", "diamond", "diamond open")
"""Of base samplers in the order of their catalogue: a dot for the first that is drawn."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a shape is drawn. A colour is a name in BASE, or `c`: that of what it stands for."""

    stroke: str = ""
    fill: str = ""
    width: float = 1.0
    dash: tuple[float, ...] = ()
    opacity: float = 1.0
    size: float = 0.0
    """Of text, in pixels."""
    bold: bool = False


STYLES = {
    "grid": Style(stroke="rule"),
    "frame": Style(stroke="soft"),
    "level": Style(stroke="ink", dash=(2, 4)),
    "band": Style(fill="c", opacity=0.16),
    "line": Style(stroke="c", width=2.2),
    "line champion": Style(stroke="c", width=4),
    "line control": Style(stroke="c", width=1.5, dash=(5, 3)),
    "whisker": Style(stroke="c", width=1.4),
    "whisker ink": Style(stroke="ink", width=1.4),
    "dot": Style(fill="c", stroke="paper"),
    "dot open": Style(fill="paper", stroke="c", width=1.8),
    "bar": Style(fill="c"),
    "bar open": Style(fill="paper", stroke="c", width=1.5),
    "title": Style(fill="ink", size=14, bold=True),
    "value": Style(fill="ink", size=12),
    "tick": Style(fill="soft", size=12),
    "note": Style(fill="soft", size=12),
    "label": Style(fill="soft", size=12.5),
}


def style_of(css: str) -> Style:
    """The style of a shape's class: `dot c-lsd open` has that of `dot open`."""
    kind, *others = css.split()
    return next((STYLES[f"{kind} {o}"] for o in others if f"{kind} {o}" in STYLES), STYLES[kind])


def classes(rows: Sequence[Row]) -> dict[str, str]:
    """Classes of the style sheet for each label: a method keeps its colour, and its marks tell base samplers apart.

    What is more than a method and its base sampler, such as one of two settings, gets a colour of its own.
    """
    samplers = sorted({row.sampler for row in rows if row.method not in REFERENCES}, key=place_of)
    found, others = dict[str, str](), 0
    for row in rows:
        if row.label in found:
            continue
        if row.method in REFERENCES:
            found[row.label] = TEACHER
        elif row.method in METHODS and row.label in (row.method, f"{row.method}, {row.sampler}"):
            mark = "" if row.label == row.method else MARKS[samplers.index(row.sampler) % len(MARKS)]
            found[row.label] = f"{class_name(row.method)} {mark}".strip()
        else:
            found[row.label] = f"x{others}"
            others += 1
    return found


def class_name(method: str) -> str:
    """A method's name as a class of the style sheet."""
    return re.sub(r"[^\w-]", "-", method)


def colour(name: str, when: int = DAY) -> str:
    """The colour of a name: of BASE, of a method, or of the k-th other, `x<k>`."""
    if name in BASE:
        return BASE[name][when]
    methods = [class_name(method) for method in METHODS]
    index = methods.index(name) if name in methods else len(methods) + int(name.removeprefix("x"))
    return COLOURS[index % len(COLOURS)][when]


def style_sheet(used: Iterable[str]) -> str:
    """Rules for BASE, for the shapes of charts, and for the classes in use."""
    names = sorted({name.split()[0] for name in used} - {TEACHER})
    day, night = (
        "".join(f"--{name}:{colour(name, when)};" for name in [*BASE, *names]) for when in (DAY, NIGHT)
    )
    rules = [f":root{{{day}}}", f"@media screen and (prefers-color-scheme:dark){{:root{{{night}}}}}"]
    rules += [f"svg .{kind.replace(' ', '.')}{{{_declarations(style)}}}" for kind, style in STYLES.items()]
    rules += [f".c-{name}{{--c:var(--{name})}}" for name in names]
    return "\n".join([*rules, f".c-{TEACHER}{{--c:var(--ink)}}", ""])


def _declarations(style: Style) -> str:
    said = {
        "fill": f"var(--{style.fill})" if style.fill else "none",
        "stroke": f"var(--{style.stroke})" if style.stroke else "",
        "stroke-width": f"{style.width:g}" if style.stroke else "",
        "stroke-dasharray": " ".join(f"{part:g}" for part in style.dash),
        "opacity": "" if style.opacity == 1 else f"{style.opacity:g}",
        "font-size": f"{style.size:g}px" if style.size else "",
        "font-weight": "600" if style.bold else "",
    }
    return ";".join(f"{name}:{value}" for name, value in said.items() if value)
