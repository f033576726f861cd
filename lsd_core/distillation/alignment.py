"""The training loop of LSD and LSD+: students walk beside teacher paths, Adam moves the numbers of the step table.

The loop knows two protocols: the numbers that are learned (gains, or gains and times), and the student chains of a
process with their loss (`masked_alignment`, `jump_alignment`).
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

Span = tuple[Tensor, Tensor] | None  # (t, s) of a step, with their gradient; None where times are fixed


@runtime_checkable
class Numbers(Protocol):
    """The numbers of a table that are learned, and their optimiser."""

    gains: Float[Tensor, " m"]

    def table(self) -> StepTable:
        """The table as it is now."""
        ...

    def begin(self, epoch: int) -> None:
        """Clear the gradients before an update."""
        ...

    def span(self, k: int) -> Span:
        """The times of step k, if they are learned."""
        ...

    def move(self) -> None:
        """One Adam step on the gradients, within the bounds."""
        ...


@runtime_checkable
class Walk(Protocol):
    """A batch of student chains beside their teacher paths."""

    @property
    def sequences(self) -> int:
        """Student sequences sent through the network so far."""
        ...

    def align(self, step: Step, gain: Float[Tensor, ""], span: Span, weight: float) -> float:
        """weight * L_k where the chains are; its gradient is added to those of the gain and of the span."""
        ...

    def advance(self, step: Step) -> None:
        """Draw the step."""
        ...


@runtime_checkable
class Student(Protocol):
    """The student chains of a process, their teacher, and what was counted."""

    num_paths: int

    @property
    def sequences(self) -> int:
        """Sequences of teacher and student sent through the network so far."""
        ...

    def new_epoch(self) -> None:
        """Forget what an epoch counts."""
        ...

    def begin(self, rows: Int[Tensor, " r"], epoch: int, table: StepTable) -> Walk:
        """Chains at their start, one for each of these teacher paths."""
        ...

    def finish(self, walk: Walk) -> None:
        """Count what a walk cost."""
        ...

    def diagnostics(self, table: StepTable) -> dict[str, Any]:
        """What the gains do, and where the work went."""
        ...


def updates(num_paths: int, epoch: int, config: AlignmentConfig) -> Iterator[Int[Tensor, " r"]]:
    """The rows of each update of an epoch: the paths are walked round and round, so many an epoch."""
    wanted = min(config.paths_per_epoch, num_paths)
    rows = (epoch * wanted + torch.arange(wanted)) % num_paths
    yield from rows.split(config.paths_per_update)


def learn(problem: Problem, config: AlignmentConfig, numbers: Numbers, student: Student) -> Learned:
    """Run all epochs. The history has the losses, gains and, where they are learned, times of each."""
    history: dict[str, list[Any]] = {}
    for epoch in range(config.epochs):
        student.new_epoch()
        rows_of_updates = updates(student.num_paths, epoch, config)
        losses = torch.stack([update(problem, numbers, student, rows, epoch) for rows in rows_of_updates])
        by_step, table = losses.mean(0), numbers.table()
        times = {} if numbers.span(0) is None else {"times": list(table.grid)}
        entry = {"loss": float(by_step.mean()), "loss_by_step": by_step.tolist(), "gains": list(table.gains)}
        problem.note(history, **entry, **times)
        problem.progress(config.method, (epoch + 1) / config.epochs)
    table = numbers.table()
    return Learned(
        table=table, sequences=student.sequences, history=history, diagnostics=student.diagnostics(table)
    )


def update(
    problem: Problem, numbers: Numbers, student: Student, rows: Int[Tensor, " r"], epoch: int
) -> Float[Tensor, " m"]:
    """One Adam step on the mean loss of these paths; returns the losses of the M steps."""
    numbers.begin(epoch)
    parts = []
    for part in rows.split(problem.batch):
        table, weight = numbers.table(), len(part) / len(rows)
        walk, losses = student.begin(part, epoch, table), torch.zeros(problem.num_steps, dtype=torch.float64)
        for step in steps_of(table, problem.backbone.length):
            k = step.index
            losses[k] = walk.align(step, numbers.gains[k], numbers.span(k), weight)
            if not step.last:
                walk.advance(step)
        student.finish(walk)
        parts.append(losses)
    numbers.move()
    return torch.stack(parts).sum(0)


class LearnedGains:
    """A gain for each step of a fixed grid, from 1."""

    def __init__(self, grid: StepTable, config: AlignmentConfig) -> None:
        self.grid, self.config = grid, config
        self.gains = torch.ones(grid.num_steps, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam([self.gains], lr=config.learning_rate)

    def table(self) -> StepTable:
        gains = tuple(self.gains.tolist())
        return StepTable(
            times=self.grid.times, counts=self.grid.counts, gains=gains, gain_on=self.config.gain_on
        )

    def begin(self, epoch: int) -> None:
        self.adam.zero_grad()

    def span(self, k: int) -> Span:
        return None

    def move(self) -> None:
        self.adam.step()
        with torch.no_grad():
            self.gains.clamp_(*self.config.gain_bounds)
