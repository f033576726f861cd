"""Interleaved timing: what is compared runs in turn, so that a slow moment of the machine slows all of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

Thunk = Callable[[], object]


@dataclass(frozen=True)
class Lap:
    """One run of one thing."""

    wall_s: float
    cpu_s: float
    """Of all threads of this process: what a busy neighbour hardly changes."""


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of the rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> "Spread":
        return Spread(median(values), min(values), max(values))

    def inverse(self, times: float = 1.0) -> "Spread":
        """times / each."""
        return Spread(times / self.median, times / self.high, times / self.low)


class Race:
    """Things run in turn, round after round, after one round that does not count."""

    def __init__(self, thunks: Mapping[str, Thunk], rounds: int, device: str) -> None:
        self.device = device
        self.laps: dict[str, list[Lap]] = {name: [] for name in thunks}
        for number in range(rounds + 1):
            for name, thunk in thunks.items():
                lap = self._lap(thunk)
                if number:
                    self.laps[name].append(lap)

    def _lap(self, thunk: Thunk) -> Lap:
        self._wait()
        wall, cpu = time.perf_counter(), time.process_time()
        result = thunk()
        self._wait()
        lap = Lap(time.perf_counter() - wall, time.process_time() - cpu)
        del result  # freed outside the clock, as the next call would reuse it
        return lap

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, name: str) -> list[float]:
        """One a round, by the clock that fits: the process's own on a CPU, the wall's beside an accelerator."""
        return [lap.cpu_s if self.device == "cpu" else lap.wall_s for lap in self.laps[name]]

    def ratio(self, name: str, to: str, *, minus: str | None = None) -> Spread:
        """(name - minus) / to, each round against the median of `to`."""
        unit = median(self.seconds(to))
        taken = [0.0] * len(self.laps[name]) if minus is None else self.seconds(minus)
        pairs = zip(self.seconds(name), taken, strict=True)
        return Spread.of([(value - less) / unit for value, less in pairs])
