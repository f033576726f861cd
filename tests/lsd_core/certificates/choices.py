"""Every path of a small chain along the choices of a sampler that looks at the tokens, found by its own steps."""

from dataclasses import dataclass
from itertools import permutations, product

import torch
from torch import Tensor

from lsd_core.paths.divergence import features_at_count
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.oracles import TableBackbone, all_states


@dataclass(frozen=True)
class Choices:
    """Sequences, in all orders of the positions that a step unmasks, with the probability of each."""

    paths: Trajectories
    sampler: Tensor
    """Of sequence and order, where the step draws its tokens independently."""
    reference: Tensor
    """Where the network is asked again before every token."""


def every_choice(sampler, backbone: TableBackbone, table: StepTable) -> Choices:
    """A draw of a step shows the positions it chooses, since they follow from the state; all tokens are put there."""
    one = Draws(0, torch.zeros(1, dtype=torch.long))
    reached: list[tuple[State, list[list[int]], float]] = [(start(backbone, one), [], 1.0)]
    for step in steps_of(table, backbone.length):
        following = []
        for state, sets, weight in reached:
            after = sampler.step(backbone, state, step, one)
            chosen = (after.x != state.x)[0].nonzero()[:, 0].tolist()
            probs = (step.gain * at(backbone, state.x)[0]).softmax(-1)
            for tokens in all_states(backbone.process.num_tokens, len(chosen)):
                x = state.x.clone()
                x[0, chosen] = tokens
                drawn = float(probs[chosen, tokens].prod())
                moved = State(x, after.calls, memory=after.memory)
                following.append((moved, [*sets, chosen], weight * drawn))
        reached = following
    rows = [
        (state.x[0], sets, weight, order)
        for state, sets, weight in reached
        for order in product(*map(permutations, sets))
    ]
    ways = [len(list(product(*map(permutations, sets)))) for _, sets, _, _ in rows]
    flat = [[i for part in order for i in part] for *_, order in rows]
    rank = torch.tensor(flat).argsort(dim=1)
    step_of = torch.zeros_like(rank)
    for row, (_, sets, _, _) in enumerate(rows):
        for k, chosen in enumerate(sets):
            step_of[row, chosen] = k
    paths = Trajectories(
        index=torch.arange(len(rows)),
        num_tokens=backbone.process.num_tokens,
        x_end=torch.stack([x for x, *_ in rows]),
        rank=rank,
        reveal_step=step_of,
        steps=table.num_steps,
    )
    chance = 1 / torch.tensor(ways).double()
    weight = torch.tensor([weight for _, _, weight, _ in rows], dtype=torch.float64)
    return Choices(paths, chance * weight, chance * one_by_one(backbone, paths.x_end, torch.tensor(flat)))


def one_by_one(backbone: TableBackbone, x: Tensor, order: Tensor) -> Tensor:
    """Probability of each sequence under the network that is asked before every token, in these orders."""
    state, log_p, row = (
        torch.full_like(x, backbone.process.mask),
        torch.zeros(len(x)).double(),
        torch.arange(len(x)),
    )
    for place in range(x.shape[1]):
        i = order[:, place]
        log_p += at(backbone, state)[row, i].log_softmax(-1)[row, x[row, i]]
        state[row, i] = x[row, i]
    return log_p.exp()


def at(backbone: TableBackbone, x: Tensor) -> Tensor:
    """Log-weights (b, l, V) at states, given the time that belongs to the number of their masked tokens."""
    return features_at_count(backbone, x, (x == backbone.process.mask).sum(1))
