"""A backbone that notes how long its network works, so that a run can say where its time went."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.processes import Absorbing


@dataclass
class Meter:
    """Seconds inside network calls so far, and how many sequences they took in."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of the calling thread."""
    sequences: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time of the block."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.thread_time() - cpu


class Metered:
    """The same backbone, its bodies and heads timed on `meter`; backward passes are not its calls."""

    def __init__(self, backbone: Backbone) -> None:
        self.inner, self.meter = backbone, Meter()
        self.name, self.family, self.config = backbone.name, backbone.family, backbone.config
        self.process: Absorbing = backbone.process
        self.length, self.time_free, self.normalised = (
            backbone.length,
            backbone.time_free,
            backbone.normalised,
        )

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        with self.meter.running():
            out = self.inner.features(x, t)
            _wait(out)
        self.meter.sequences += len(x)
        return out

    def head(self, rows: Tensor) -> Tensor:
        with self.meter.running():
            out = self.inner.head(rows)
            _wait(out)
        return out

    def tensors(self) -> dict[str, Any]:
        return self.inner.tensors()

    @cached_property
    def fingerprint(self) -> str:
        return self.inner.fingerprint


def _wait(out: Tensor) -> None:
    """An accelerator answers before it has worked."""
    if out.is_cuda:
        torch.cuda.synchronize(out.device)
