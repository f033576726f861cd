"""A network's time is that of its calls and of the gradients that pass through them, and of nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lsd_core.backbones import metered
from lsd_core.backbones.metered import Metered
from lsd_core.backbones.protocol import Backbone
from tests.lsd_core.distillation.chains import Warming, mild_chain

FORWARD_S, BACKWARD_S, BESIDE_S = 3.0, 5.0, 100.0


class Clock:
    """Time passes when work is done, and only then."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now


class Work(torch.autograd.Function):
    """The identity, which takes its time."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, clock: Clock, forward_s: float, backward_s: float) -> Tensor:
        ctx.clock, ctx.backward_s = clock, backward_s
        clock.now += forward_s
        return given.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        ctx.clock.now += ctx.backward_s
        return gradients[0], None, None, None


def took(given: Tensor, clock: Clock, forward_s: float, backward_s: float) -> Tensor:
    out: Tensor = Work.apply(given, clock, forward_s, backward_s)  # type: ignore[no-untyped-call]
    return out


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(metered, "time", SimpleNamespace(perf_counter=clock.read, thread_time=clock.read))
    return clock


class Slow(Warming):
    """A network whose body and head take their time."""

    def __init__(self, clock: Clock) -> None:
        mild = mild_chain()
        super().__init__(mild.table, mild.process.num_tokens)
        self.clock = clock

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        return took(super().features(x, t), self.clock, FORWARD_S, BACKWARD_S)

    def head(self, rows: Tensor) -> Tensor:
        return super().head(took(rows, self.clock, FORWARD_S, BACKWARD_S))


def loss(backbone: Backbone, t: Tensor, clock: Clock) -> Tensor:
    """Looks at the network twice, with work of its own before, between and after."""
    x = torch.full((2, backbone.length), backbone.process.mask)
    total = torch.zeros(())
    for _ in range(2):
        features = backbone.features(x, took(t, clock, BESIDE_S, BESIDE_S))
        rows = took(features, clock, BESIDE_S, BESIDE_S).flatten(0, 1)
        total = total + took(backbone.head(rows), clock, BESIDE_S, BESIDE_S).sum()
    return total


def test_calls_and_gradients_through_them_are_counted_and_nothing_else(clock: Clock) -> None:
    timed = Metered(Slow(clock))
    t = torch.full((2,), 0.5, requires_grad=True)
    total = loss(timed, t, clock)
    assert timed.meter.wall_s == timed.meter.cpu_s == 2 * 2 * FORWARD_S
    total.backward()
    assert timed.meter.wall_s == timed.meter.cpu_s == 2 * 2 * (FORWARD_S + BACKWARD_S)
    assert timed.meter.sequences == 4


def test_gradients_are_those_of_the_bare_network(clock: Clock) -> None:
    bare = Slow(clock)
    gradients = []
    for backbone in (bare, Metered(bare)):
        t = torch.full((2,), 0.5, requires_grad=True)
        loss(backbone, t, clock).backward()
        gradients.append(t.grad)
    assert torch.equal(*gradients)


def test_without_gradients_only_calls_are_counted(clock: Clock) -> None:
    timed = Metered(Slow(clock))
    loss(timed, torch.full((2,), 0.5), clock)
    assert timed.meter.wall_s == 2 * 2 * FORWARD_S
