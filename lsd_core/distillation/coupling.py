"""How the student's draws go with the teacher's: on common noise, or on noise of their own."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.processes import Absorbing
from lsd_core.randomness import Purpose, uniform_grid
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.laws import RevealLaw
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step

CouplingName = Literal["common", "independent"]


class Coupling(Protocol):
    """Turns the law of a student's step into its tokens."""

    def draw(self, law: RevealLaw, step: Step) -> Int[Tensor, "b l"]: ...


@dataclass(frozen=True, eq=False)
class Independent:
    """The student draws for itself."""

    draws: Draws

    def draw(self, law: RevealLaw, step: Step) -> Int[Tensor, "b l"]:
        return law.draw(self.draws, step.index)


@dataclass(frozen=True, eq=False)
class Common:
    """The student meets the teacher's reveal times and the teacher's token uniforms.

    A position masked at t whose teacher reveal time U is still to come has waited = (alpha_U - alpha_t) /
    (1 - alpha_t), for log-linear noise (t - U) / t, which is uniform on (0, 1) given U < t; it is revealed
    where that is at most the step's chance. A plain step therefore reveals exactly what the teacher has
    revealed by s. Where the teacher is ahead, the student uses a uniform of its own. On a grid of counts the
    student reveals in the teacher's order.
    """

    process: Absorbing
    reveal_time: Float[Tensor, "b l"]
    rank: Int[Tensor, "b l"]
    own: Draws
    """The student's uniforms, for positions that the teacher has already revealed."""
    tokens: Draws
    """The uniforms that the teacher turned into tokens."""

    def draw(self, law: RevealLaw, step: Step) -> Int[Tensor, "b l"]:
        chosen = self.choose(law, step).nonzero()[:, 0]
        sample, position = law.rows[0][chosen], law.rows[1][chosen]
        uniform = self.tokens.rows(0, Purpose.TOKEN, sample, position)
        x = law.x.clone()
        x[sample, position] = draw_categorical(law.tokens(chosen).exp(), uniform)
        return x

    def choose(self, law: RevealLaw, step: Step) -> Bool[Tensor, " r"]:
        """Which of the law's rows are revealed."""
        if law.chance is None:
            return self._choose_by_rank(law)
        time, t = self.reveal_time[law.rows], torch.tensor(step.t, dtype=torch.float64)
        waited = self.process.reveal_chance(t, time)
        own = self.own.rows(step.index, Purpose.REVEAL, *law.rows)
        return torch.where(time < t, waited <= law.chance, own < law.chance)

    def _choose_by_rank(self, law: RevealLaw) -> Bool[Tensor, " r"]:
        assert law.quota is not None
        last = law.x.shape[1]
        rank = torch.full_like(law.x, last)
        rank[law.rows] = self.rank[law.rows]
        place = rank.argsort(dim=1, stable=True).argsort(dim=1)
        return (place < law.quota[:, None])[law.rows]


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
    picked = uniform_grid(seed, index, 0, length, Purpose.PERTURB).argsort(dim=1).argsort(dim=1) < count
    states = uniform_grid(seed, index, 1, length, Purpose.PERTURB) * process.num_states
    return torch.where(picked, states.long(), x)
