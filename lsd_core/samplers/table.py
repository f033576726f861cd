"""Step tables: a grid of times or of mask counts, and a gain for each step."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from lsd_core.errors import InputError

GainOn = Literal["score", "log_score"]
Grid = Literal["times", "counts"]


@dataclass(frozen=True)
class StepTable:
    """M steps of a few-step sampler: a grid of times or of mask counts, and a gain for each step.

    Exactly one of `times` and `counts` is given. `gain_on` says where the gain acts: on the `score` it scales
    how many tokens are unmasked (LSD Eq. 5), on the `log_score` it sharpens (> 1) or flattens (< 1) the
    distribution of the token, as a temperature 1/gain, and leaves the number of tokens alone.
    """

    times: tuple[float, ...] | None = None
    """M + 1 times, strictly decreasing from 1 to 0."""
    counts: tuple[int, ...] | None = None
    """M + 1 numbers of masked tokens, strictly decreasing from the length to 0 (absorbing processes)."""
    gains: tuple[float, ...] = ()
    """M positive factors; all 1 is the plain sampler."""
    gain_on: GainOn = "log_score"
    """What the gains multiply."""

    def __post_init__(self) -> None:
        if (self.times is None) == (self.counts is None):
            raise InputError("table", "have either times or counts", "both" if self.times else "neither")
        name, grid = ("times", self.times) if self.times is not None else ("counts", self.counts)
        assert grid is not None
        if len(grid) < 2:
            raise InputError(f"table.{name}", "have at least 2 entries", list(grid))
        if not all(math.isfinite(value) for value in grid):
            raise InputError(f"table.{name}", "be finite", list(grid))
        if any(left <= right for left, right in pairwise(grid)):
            raise InputError(f"table.{name}", "be strictly decreasing", list(grid))
        if grid[-1] != 0:
            raise InputError(f"table.{name}", "end at 0", grid[-1])
        if self.times is not None and self.times[0] != 1:
            raise InputError("table.times", "start at 1", self.times[0])
        if self.counts is not None and any(type(value) is not int for value in self.counts):
            raise InputError("table.counts", "be integers", list(self.counts))
        if not self.gains:
            object.__setattr__(self, "gains", (1.0,) * (len(grid) - 1))
        if len(self.gains) != len(grid) - 1:
            raise InputError("table.gains", f"have {len(grid) - 1} entries, one a step", len(self.gains))
        if not all(math.isfinite(gain) and gain > 0 for gain in self.gains):
            raise InputError("table.gains", "be positive and finite", list(self.gains))
        if self.gain_on not in ("score", "log_score"):
            raise InputError("table.gain_on", "be 'score' or 'log_score'", self.gain_on)

    @property
    def num_steps(self) -> int:
        """M."""
        return len(self.gains)

    @property
    def grid(self) -> tuple[float, ...] | tuple[int, ...]:
        """The times or the counts, whichever the table holds."""
        return self.times if self.times is not None else self.counts or ()

    def with_gains(self, gains: tuple[float, ...] | float | int) -> "StepTable":
        """The same grid with other gains; a number means the same gain at every step."""
        gains = (float(gains),) * self.num_steps if isinstance(gains, int | float) else gains
        return StepTable(times=self.times, counts=self.counts, gains=gains, gain_on=self.gain_on)

    def to_dict(self) -> dict[str, Any]:
        name = "times" if self.times is not None else "counts"
        return {name: list(self.grid), "gains": list(self.gains), "gain_on": self.gain_on}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "StepTable":
        unknown = set(record) - {"times", "counts", "gains", "gain_on"}
        if unknown:
            raise InputError("table", "have times or counts, gains and gain_on", sorted(unknown))
        times, counts = record.get("times"), record.get("counts")
        return StepTable(
            times=None if times is None else tuple(float(value) for value in times),
            counts=None if counts is None else tuple(counts),
            gains=tuple(float(value) for value in record.get("gains", ())),
            gain_on=record.get("gain_on", "log_score"),
        )


def uniform_times(num_steps: int) -> StepTable:
    """Equal steps in t; on log-linear noise, equal expected numbers of unmasked tokens."""
    return StepTable(times=tuple(1 - k / num_steps for k in range(num_steps + 1)))


def cosine_times(num_steps: int) -> StepTable:
    """t_k = cos(pi k / 2M): few tokens first, many last (MaskGIT, Chang et al. 2022)."""
    inner = tuple(math.cos(math.pi * k / (2 * num_steps)) for k in range(1, num_steps))
    return StepTable(times=(1.0, *inner, 0.0))


def counts_from_times(table: StepTable, length: int) -> StepTable:
    """The nearest grid of mask counts: l t_k, rounded, at least one token a step."""
    if table.times is None:
        raise InputError("table", "be a grid of times", "counts")
    if table.num_steps > length:
        raise InputError("nfe", f"be at most the length {length} when stepping in counts", table.num_steps)
    counts = [round(length * t) for t in table.times]
    for k in range(1, table.num_steps):
        low, high = table.num_steps - k, counts[k - 1] - 1
        counts[k] = min(max(counts[k], low), high)
    return StepTable(counts=tuple(counts), gains=table.gains, gain_on=table.gain_on)
