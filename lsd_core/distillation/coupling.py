"""Coupling of the student's draws with the teacher's: common random numbers, or independent ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.numerics.ranks import ranks
from lsd_core.processes import Absorbing
from lsd_core.samplers.masked import MaskedKernel
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step

ROUNDING = 1e-12  # a plain step must end at the teacher's time to the last bit

CouplingName = Literal["common", "independent"]


@runtime_checkable
class Coupling(Protocol):
    """Draws the tokens of a student's step from its kernel."""

    def draw(self, kernel: MaskedKernel, step: Step) -> Int[Tensor, "b l"]: ...


@dataclass(frozen=True, eq=False)
class Independent:
    """The student draws for itself."""

    draws: Draws

    def draw(self, kernel: MaskedKernel, step: Step) -> Int[Tensor, "b l"]:
        return kernel.draw(self.draws, step.index)


@dataclass(frozen=True, eq=False)
class Common:
    """The student uses the teacher's reveal times and the teacher's token uniforms.

    `clock[k]`, as computed by `clocks`, is a time such that before step k every position whose teacher reveal
    time U lies below it is masked in the student and has U uniform on (0, clock). Such a position is
    revealed where (clock - U) / clock is at most the step's chance; others, at which the teacher is ahead,
    use a uniform of the student's own. A plain step therefore reveals exactly what the teacher has revealed
    by s, and with any gain each position is revealed with its step's chance. On a grid of counts the student
    reveals in the teacher's order.
    """

    reveal_time: Float[Tensor, "b l"]
    rank: Int[Tensor, "b l"]
    clock: tuple[float, ...]
    own: Draws
    """The student's uniforms, for positions that the teacher has already revealed."""
    tokens: Draws
    """The uniforms that the teacher turned into tokens."""

    def draw(self, kernel: MaskedKernel, step: Step) -> Int[Tensor, "b l"]:
        chosen = self.choose(kernel, step).nonzero()[:, 0]
        revealed = (kernel.rows[0][chosen], kernel.rows[1][chosen])
        uniform = self.tokens.at(0, Purpose.TOKEN, revealed, kernel.x.shape[1])
        return kernel.x.index_put(revealed, kernel.tokens.draw(chosen, uniform))

    def choose(self, kernel: MaskedKernel, step: Step) -> Bool[Tensor, " r"]:
        """Which of the kernel's rows are revealed."""
        if kernel.chance is None:
            return self._choose_by_rank(kernel)
        time, clock = self.reveal_time[kernel.rows], self.clock[step.index]
        own = self.own.at(step.index, Purpose.REVEAL, kernel.rows, kernel.x.shape[1])
        return torch.where(time < clock, (clock - time) / clock <= kernel.chance, own < kernel.chance)

    def _choose_by_rank(self, kernel: MaskedKernel) -> Bool[Tensor, " r"]:
        assert kernel.quota is not None
        last = kernel.x.shape[1]
        rank = torch.full_like(kernel.x, last)
        rank[kernel.rows] = self.rank[kernel.rows].long()
        return (ranks(rank, 1) < kernel.quota[:, None])[kernel.rows]


def clocks(times: Sequence[float], chances: Sequence[float]) -> tuple[float, ...]:
    """The clock of `Common` before each step: clock_{k+1} = min(t_{k+1}, clock_k (1 - r_k)), from 1.

    A student that lags reveals by the teacher's clock t; one that runs ahead has a clock of its own.
    """
    clock = [1.0]
    for t, chance in zip(times[1:], chances[:-1], strict=False):
        reached = clock[-1] * (1 - min(1.0, chance))
        clock.append(t if abs(reached - t) < ROUNDING else min(t, reached))
    return tuple(clock)


def perturbed(
    x: Int[Tensor, "b l"], process: Absorbing, zeta: float, seed: int, index: Int[Tensor, " b"]
) -> Int[Tensor, "b l"]:
    """The relaxed start (LSD Eq. 9, 10): at most zeta * l tokens of each chain are replaced by random states.

    Exactly floor(zeta * l) positions are picked; a picked one may draw the state it already has.
    """
    length = x.shape[1]
    count = int(zeta * length)
    if count == 0:
        return x
    picked = ranks(uniform_grid(seed, index, 0, length, Purpose.PERTURB), 1) < count
    states = uniform_grid(seed, index, 1, length, Purpose.PERTURB) * process.num_states
    return torch.where(picked, states.long(), x)
