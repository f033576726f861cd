"""Step tables: a grid of times or of mask counts, and a gain for each step."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from lsd_core.errors import InputError

MOST_STEPS = 10**5  # of a few-step sampler; more than any grid asks for
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
    order: tuple[int, ...] | None = None
    """The positions, first unmasked first: for the base sampler `learned_order` alone, on a grid of counts."""

    thresholds: tuple[float, ...] | None = None
    """One a step, for the base samplers that have one (`entropy_bound`, `threshold`, `klass`), on a grid of counts."""

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
        if self.order is not None:
            self._check_order(self.order)
        if self.thresholds is not None:
            self._check_thresholds(self.thresholds)

    def _check_thresholds(self, thresholds: tuple[float, ...]) -> None:
        if self.counts is None:
            raise InputError("table.thresholds", "be left out on a grid of times", list(thresholds))
        if len(thresholds) != len(self.gains) or not all(0 <= each < math.inf for each in thresholds):
            rule = f"be {len(self.gains)} numbers >= 0, one a step"
            raise InputError("table.thresholds", rule, list(thresholds))

    def _check_order(self, order: tuple[int, ...]) -> None:
        """Raise InputError unless it is a permutation; given tokens leave fewer masked than it has positions."""
        if self.counts is None:
            raise InputError("table.order", "be left out on a grid of times", list(order))
        whole = len(order) >= self.counts[0] and all(type(place) is int for place in order)
        if not whole or sorted(order) != list(range(len(order))):
            rule = f"be a permutation of 0 .. {self.counts[0] - 1}"
            raise InputError("table.order", rule, list(order))

    @property
    def num_steps(self) -> int:
        """M."""
        return len(self.gains)

    @property
    def grid(self) -> tuple[float, ...] | tuple[int, ...]:
        """The times or the counts, whichever the table holds."""
        return self.times if self.times is not None else self.counts or ()

    @property
    def steps_in(self) -> Grid:
        """What the grid holds."""
        return "times" if self.times is not None else "counts"

    def with_gains(self, gains: tuple[float, ...] | float | int) -> "StepTable":
        """The same grid with other gains; a number means the same gain at every step."""
        gains = (float(gains),) * self.num_steps if isinstance(gains, int | float) else gains
        return replace(self, gains=gains)

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            self.steps_in: list(self.grid),
            "gains": list(self.gains),
            "gain_on": self.gain_on,
        }
        if self.order is not None:
            record["order"] = list(self.order)
        if self.thresholds is not None:
            record["thresholds"] = list(self.thresholds)
        return record

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "StepTable":
        unknown = set(record) - {"times", "counts", "gains", "gain_on", "order", "thresholds"}
        if unknown:
            raise InputError("table", "have times or counts, gains and gain_on", sorted(unknown))
        times, counts, gains, order, thresholds = (
            _numbers(name, record.get(name)) for name in ("times", "counts", "gains", "order", "thresholds")
        )
        if order is not None and counts and len(order) != counts[0]:
            raise InputError("table.order", f"be a permutation of 0 .. {counts[0] - 1}", list(order))
        return StepTable(
            times=None if times is None else tuple(map(float, times)),
            counts=counts,
            gains=tuple(map(float, gains or ())),
            gain_on=record.get("gain_on", "log_score"),
            order=order,
            thresholds=None if thresholds is None else tuple(map(float, thresholds)),
        )


def _numbers(name: str, values: Any) -> tuple[Any, ...] | None:
    """A list of numbers as JSON has them; text that reads like one, or a list without end, is none."""
    if values is None:
        return None
    if not isinstance(values, list | tuple) or any(type(value) not in (int, float) for value in values):
        raise InputError(f"table.{name}", "be a list of numbers", values)
    if len(values) > MOST_STEPS + 1:
        raise InputError(f"table.{name}", f"have at most {MOST_STEPS + 1} entries", len(values))
    return tuple(values)


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
    return replace(table, times=None, counts=tuple(counts))
