"""Lines from a worker to whoever started its work, among all that libraries print: remarks, points of curves."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

MARK = "lsd: "
POINTS = "points "
EVERY_S = 1.0  # how often a curve is told
MOST_POINTS = 200  # in a line


def tell(text: str) -> None:
    """On a worker: say something in the log of the run."""
    print(f"{MARK}{text}", flush=True)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points of one job's learning curves, and what has become of the job."""

    key: str
    """Where the job's result will lie on the store: names the job."""
    backbone: str
    title: str
    points: list[tuple[int, dict[str, float]]]
    """(epoch or iteration, values)."""
    status: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"


@dataclass(frozen=True)
class Told:
    """A line that a worker told."""

    host: str
    pid: int
    text: str

    def __str__(self) -> str:
        return f"[{self.host} {self.pid}] {self.text}"

    @property
    def is_points(self) -> bool:
        """Whether it is for curves, and not for people."""
        return self.text.startswith(POINTS)

    def points(self) -> Points | None:
        """The points it carries; None for a line that did not arrive whole."""
        try:
            record = json.loads(self.text.removeprefix(POINTS))
            return Points(**record | {"points": [(step, values) for step, values in record["points"]]})
        except (ValueError, TypeError, KeyError):
            return None


class Curve:
    """On a worker: tells what a job learns while it learns, at most once a second; a watch of `learn`.

    As a context manager it tells the rest at the end, and whether the job failed.
    """

    def __init__(self, *, key: str, backbone: str, title: str) -> None:
        self._job = {"key": key, "backbone": backbone, "title": title}
        self._points: list[tuple[int, dict[str, float]]] = []
        self._told_at = float("-inf")

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Take an entry of the history."""
        self._points.append((step, flat(values)))
        if len(self._points) >= MOST_POINTS or time.monotonic() - self._told_at >= EVERY_S:
            self._tell("RUNNING")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._points or self._told_at > float("-inf"):  # nothing is learned where nothing was noted
            self._tell("FINISHED" if kind is None else "FAILED")

    def _tell(self, status: str) -> None:
        tell(POINTS + json.dumps({**self._job, "points": self._points, "status": status}))
        self._points, self._told_at = [], time.monotonic()


def flat(values: Mapping[str, Any]) -> dict[str, float]:
    """Finite numbers to six digits; of a list each entry has a name of its own: gains/00, gains/01, ..."""
    flattened: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, list):
            flattened |= flat({f"{name}/{k:02d}": entry for k, entry in enumerate(value)})
        elif math.isfinite(value):
            flattened[name] = float(f"{value:.6g}")
    return flattened
