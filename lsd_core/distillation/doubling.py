"""The search of Jump Your Steps for a schedule: intervals are split at their best points, 1, 2, 4 ... steps.

The best point of an interval is found by golden section. In between powers of two, the intervals that save most are
split. What a split saves is given as a function, over times or over counts of masked tokens.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Split:
    """Where an interval is best split, and how much that saves."""

    time: float
    """The time, or the count of masked tokens."""
    saving: float


def doubled(
    num_steps: int,
    best_split: Callable[[float, float], Split | None],
    report: Callable[[int, list[float]], None] = lambda num_steps, new: None,
    start: float = 1.0,
) -> tuple[tuple[float, ...], list[float]]:
    """Points from `start` to 0 with `num_steps` steps, and the saving of each split made, in order.

    A round splits every interval of the round before that can be split; a round that would go beyond `num_steps`
    splits those that save most. Each round ends in a report of the steps there are and the savings it brought.
    """
    times, savings = [start, 0.0], []
    while (steps := len(times) - 1) < num_steps:
        splits = [split for t, s in pairwise(times) if (split := best_split(t, s)) is not None]
        room = min(steps, num_steps - steps)
        chosen = sorted(sorted(splits, key=lambda split: -split.saving)[:room], key=lambda split: -split.time)
        new = [split.saving for split in chosen]
        savings += new
        times = sorted([*times, *(split.time for split in chosen)], reverse=True)
        report(len(times) - 1, new)
    return tuple(times), savings


def golden_section(value: Callable[[float], float], low: float, high: float, iterations: int) -> Split:
    """The largest value found in (low, high); the maximum of a function with one peak, to 0.62^iterations."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = value(a), value(b)
    for _ in range(iterations):
        if at_a > at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = value(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = value(b)
    return Split(a, at_a) if at_a > at_b else Split(b, at_b)


def best_count(value: Callable[[int], float], low: int, high: int, iterations: int) -> Split | None:
    """The same over whole numbers inside low .. high; None where there are none.

    At most as many values as golden section takes, `iterations` + 2, are all looked at.
    """
    if high - low - 1 <= iterations + 2:
        return max(
            (Split(float(count), value(count)) for count in range(low + 1, high)),
            key=lambda split: split.saving,
            default=None,
        )
    found = dict[int, float]()

    def rounded(point: float) -> float:
        count = min(max(round(point), low + 1), high - 1)
        if count not in found:
            found[count] = value(count)
        return found[count]

    golden_section(rounded, float(low), float(high), iterations)
    best = max(found, key=lambda count: found[count])
    return Split(float(best), found[best])
