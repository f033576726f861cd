"""Measured figures with their targets, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from flows.bench.timing import Spread


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The network, the device and the sizes of a benchmark."""

    shape: str = "sedd-small"
    """Sizes of the network, as in `shapes.SHAPES`."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    body_dtype: str = "float32"
    """Precision of the network's body; `bfloat16` as published."""
    batch: int = 1
    """Sequences a network call."""
    rounds: int = 5
    """Rounds whose median is taken."""
    grid: str = "demo"
    """The grid whose time is broken down, a ready one or a .yaml file."""

    def judged(self, **target: float) -> dict[str, float]:
        """The target, at the shape that it was set for."""
        return target if self.shape == "sedd-small" else {}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number."""

    question: str
    case: str
    value: float
    low: float
    high: float
    unit: str
    """What 1 would mean."""
    at_most: float | None = None
    at_least: float | None = None

    @staticmethod
    def of(question: str, case: str, spread: Spread, unit: str, **target: float) -> "Figure":
        """From the rounds of a race."""
        numbers = {"value": spread.median, "low": spread.low, "high": spread.high}
        return Figure(question=question, case=case, unit=unit, **numbers, **target)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches its target; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"


def to_json(setting: Setting, figures: Sequence[Figure], environment: dict[str, Any]) -> str:
    """Everything, for a program."""
    rows = [asdict(figure) | {"met": figure.met} for figure in figures]
    return json.dumps({"setting": asdict(setting), "environment": environment, "figures": rows}, indent=2)


def table_of(question: str, title: str, figures: Sequence[Figure]) -> Table:
    """The figures of one question, for a person."""
    table = Table(
        title=f"{question}: {title}", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD
    )
    table.add_column("case")
    for column in ("median", "low .. high"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("target", no_wrap=True)
    marks = {True: (" met", ""), False: (" missed", "bold red"), None: ("", "")}
    for figure in figures:
        table.add_row(
            figure.case,
            _short(figure.value),
            f"{_short(figure.low)} .. {_short(figure.high)}",
            figure.unit,
            Text.assemble(figure.target, marks[figure.met]),
        )
    return table


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"
