"""One step of a table: its times or counts, and its gain."""

from collections.abc import Iterator
from dataclasses import dataclass

from lsd_core.samplers.table import GainOn, Grid, StepTable


@dataclass(frozen=True)
class Step:
    """From time t down to s; on a grid of counts, from n masked tokens to m."""

    index: int
    t: float
    s: float
    gain: float
    gain_on: GainOn
    counts: tuple[int, int] | None = None
    order: tuple[int, ...] | None = None
    """The table's own order of the positions, if it has one."""

    threshold: float | None = None
    """The step's own threshold, for samplers that have one."""

    @property
    def grid(self) -> Grid:
        """What the table of the step holds."""
        return "times" if self.counts is None else "counts"

    @property
    def last(self) -> bool:
        """Whether nothing may stay masked after this step."""
        return self.s == 0


def time_of_count(n: int, length: int) -> float:
    """The time that a time-conditioned network is given when n of `length` tokens are masked: n / (l + 1).

    It is the mean of Beta(n, l + 1 - n), the distribution of t given n; at n = l the chain is at its
    prior, and the time is 1.
    """
    return 1.0 if n == length else n / (length + 1)


def steps_of(table: StepTable, length: int) -> Iterator[Step]:
    """The table's steps, first to last."""
    grid = table.grid
    for k in range(table.num_steps):
        if table.counts is None:
            yield Step(k, grid[k], grid[k + 1], table.gains[k], table.gain_on)
        else:
            n, m = table.counts[k], table.counts[k + 1]
            t, s = time_of_count(n, length), time_of_count(m, length)
            threshold = None if table.thresholds is None else table.thresholds[k]
            gain, on = table.gains[k], table.gain_on
            yield Step(k, t, s, gain, on, counts=(n, m), order=table.order, threshold=threshold)
