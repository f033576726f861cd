"""Small chains without a mask whose every law can be written down, and networks that misjudge them."""

from itertools import pairwise

import torch
from torch import Tensor

from lsd_core.backbones.hidden_markov import HiddenMarkov
from lsd_core.backbones.scores import scores_at_times
from lsd_core.processes import Exponential, Gaussian, Geometric, Process, Uniform
from lsd_core.samplers.full import growth_between
from lsd_core.samplers.recording import node_times
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.oracles import all_states, number_of

UNIFORM = Uniform(3, Geometric(1e-3, 6.0))
GAUSSIAN = Gaussian(3, Exponential(0.05, 60.0), rate_sigma=1.5, prior_sigma=3.0)


def chain(process: Process, length: int = 2, seed: int = 0, independent: bool = False) -> HiddenMarkov:
    """A random chain of tokens that mostly stay; `independent` ones know nothing of their neighbours."""
    size, gen = process.num_states, torch.Generator().manual_seed(seed)
    transition = torch.rand(size, size, generator=gen).double() + 2.0 * torch.eye(size)
    transition = transition / transition.sum(1, keepdim=True)
    initial = torch.full((size,), 1 / size, dtype=torch.float64)
    if independent:
        transition = initial.expand(size, size).contiguous()
    config = {"family": HiddenMarkov.family, "process": process.to_dict(), "length": length}
    return HiddenMarkov("chain", config, {"initial": initial, "transition": transition})


class Misfit:
    """A network that predicts clean tokens with a fixed error of its own at each (state, position, token)."""

    def __init__(self, truth: HiddenMarkov, scale: float = 0.4) -> None:
        self.truth, self.process, self.length = truth, truth.process, truth.length
        size = truth.process.num_states
        gen = torch.Generator().manual_seed(5)
        self.factor = torch.exp(
            scale * torch.randn(size**self.length, self.length, size, generator=gen)
        ).double()

    def x0_probs(self, x: Tensor, t: Tensor) -> Tensor:
        law = self.truth.x0_probs(x, t) * self.factor[number_of(x, self.process.num_states)]
        return law / law.sum(-1, keepdim=True)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)


def data_law(backbone: HiddenMarkov) -> Tensor:
    """The law of whole clean sequences, (V^l,)."""
    x = all_states(backbone.process.num_states, backbone.length)
    law = backbone.initial[x[:, 0]]
    for i in range(1, backbone.length):
        law = law * backbone.transition[x[:, i - 1], x[:, i]]
    return law


def exact_paths(backbone: HiddenMarkov, count: int, num_nodes: int, seed: int = 2) -> Trajectories:
    """Paths of the exact chain, drawn forward from data and kept as a teacher keeps them."""
    gen, process, shape = torch.Generator().manual_seed(seed), backbone.process, (count, backbone.length)
    number = torch.multinomial(data_law(backbone), count, replacement=True, generator=gen)
    x = x_end = all_states(process.num_states, backbone.length)[number]
    states = []
    for s, t in pairwise((0.0, *reversed(node_times(num_nodes)))):
        law = process.transition(growth_between(process, t, s))[x].flatten(0, 1)
        x = torch.multinomial(law, 1, generator=gen).view(shape)
        states.append(x)
    return Trajectories(
        index=torch.arange(count),
        num_tokens=process.num_states,
        x_end=x_end,
        states=torch.stack(states[::-1], 1),
    )


def forward(process: Process, length: int, growth: float) -> Tensor:
    """The forward chain over whole sequences, (V^l, V^l)."""
    one, whole = process.transition(growth), torch.ones(1, 1, dtype=torch.float64)
    for _ in range(length):
        whole = torch.kron(whole, one)
    return whole
