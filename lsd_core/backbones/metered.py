"""Timing wrapper of a backbone: seconds inside network calls and gradients, and sequences passed through."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.wrapped import Wrapped


@dataclass
class Meter:
    """Seconds inside network calls and backward passes through them so far, and how many sequences they took in."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of the calling thread."""
    sequences: int = 0

    def start(self) -> Callable[[], None]:
        """Counts the time until what it gives is called."""
        wall, cpu = time.perf_counter(), time.thread_time()

        def stop() -> None:
            self.wall_s += time.perf_counter() - wall
            self.cpu_s += time.thread_time() - cpu

        return stop

    def time(self, network: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """`network(given)`, counted; where gradients will pass through it on their way to `given`, they are too."""
        through = torch.is_grad_enabled() and given.requires_grad
        given = given.clone() if through else given  # of our own, so that a hook on it is passed once
        stop = self.start()
        out = network(given)
        _wait(out)
        stop()
        if through and out.requires_grad:
            begun = list[Callable[[], None]]()

            def enters(gradient: Tensor) -> None:
                _wait(gradient)
                begun.append(self.start())

            def leaves(gradient: Tensor) -> None:
                _wait(gradient)
                begun.pop()()

            out.register_hook(enters)
            given.register_hook(leaves)
        return out


class Metered(Wrapped):
    """The same backbone, its bodies and heads timed on `meter`."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.meter = Meter()

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        self.meter.sequences += len(x)
        return self.meter.time(lambda t: self.inner.features(x, t), t)

    def head(self, rows: Tensor) -> Tensor:
        return self.meter.time(self.inner.head, rows)


def _wait(out: Tensor) -> None:
    """CUDA is asynchronous: synchronise before reading the clock."""
    if out.is_cuda:
        torch.cuda.synchronize(out.device)
