"""Terms of the masked certificates: functions of given paths, with no draws of their paths' tokens."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.numerics.ranks import ranks
from lsd_core.paths.divergence import features_at_count, mean_kl
from lsd_core.paths.sampler_paths import free_groups
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.conditional import rescaled
from lsd_core.samplers.orders import Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.replay import state_at_count, state_at_step
from lsd_core.trajectories.types import Trajectories

Direction = Literal["reverse", "forward"]


def stopped_mean(
    backbone: Backbone,
    table: StepTable,
    paths: Trajectories,
    order: Order | None,
    direction: Direction,
    draws: Draws,
    batch: int,
    stops: int,
) -> Float[Tensor, " b"]:
    """l times the mean of `stopped_terms` over `stops` counts a path, stratified over all of them.

    Where tokens are given, l is a path's number of free positions and the table is rescaled for it.
    """
    total = torch.zeros(len(paths), dtype=torch.float64)
    for rows, num_free in free_groups(paths):
        own, steps = Draws(draws.seed, draws.trajectory[rows]), rescaled(table, num_free)
        some = paths.select(rows)
        total[rows] = _stopped_mean(backbone, steps, some, order, direction, own, batch, stops, num_free)
    return total


def _stopped_mean(
    backbone: Backbone,
    table: StepTable,
    paths: Trajectories,
    order: Order | None,
    direction: Direction,
    draws: Draws,
    batch: int,
    stops: int,
    length: int,
) -> Float[Tensor, " b"]:
    """`stopped_mean` of paths with `length` free positions each."""
    b = len(paths)
    stop = torch.arange(stops)[None, :]
    slot = uniforms(draws.seed, draws.trajectory[:, None], stop, torch.tensor(0), Purpose.MASK)
    shuffle = ranks(slot, 0)  # which of the b strata of its share of 1 .. l
    jitter = uniforms(draws.seed, draws.trajectory[:, None], stop, torch.tensor(1), Purpose.MASK)
    n = 1 + ((stop + (shuffle + jitter) / b) / stops * length).long().clamp(max=length - 1)
    total = torch.zeros(b, dtype=torch.float64)
    for part in pieces(b, batch):
        chosen = paths.select(part)
        for column in range(stops):
            total[part] += stopped_terms(backbone, table, chosen, order, n[part, column], direction)
    return total * length / stops


def stopped_terms(
    backbone: Backbone,
    table: StepTable,
    paths: Trajectories,
    order: Order | None,
    n: Int[Tensor, " b"],
    direction: Direction,
) -> Float[Tensor, " b"]:
    """Divergence between the step's distribution and the network's where the next token comes (`next_at_count`).

    In a uniform order that is the mean over the n masked positions; without an order, over those of them that the
    path's step unmasks. There a step was shown as many masked tokens as its state has, whatever its table says.

    `reverse` is KL(step || network), `forward` is KL(network || step). Two network calls a path.
    """
    steps = list(steps_of(table, backbone.length))
    k = step_at_count(paths, n)
    began, stopped = state_at_step(paths, k), state_at_count(paths, n)
    gain = torch.tensor([log_score_gain(step) for step in steps], dtype=torch.float64)[k]
    if order is None:
        of_step = features_at_count(backbone, began, (began == backbone.process.mask).sum(1))
    else:
        of_step = backbone.features(began, torch.tensor([step.t for step in steps], dtype=torch.float64)[k])
    of_network = features_at_count(backbone, stopped, n)
    where = next_at_count(paths, n, order)
    if direction == "reverse":
        return mean_kl(backbone, of_step, gain, of_network, 1.0, where)
    return mean_kl(backbone, of_network, 1.0, of_step, gain, where)


def next_at_count(paths: Trajectories, n: Int[Tensor, " b"], order: Order | None) -> Bool[Tensor, "b l"]:
    """Where the next token may come when n are masked: all masked alike, or the next in the path's order.

    Without an order the positions of a step follow from its state, and come in any order: all that the step still has
    to unmask, alike.
    """
    assert paths.rank is not None
    place = paths.length - n[:, None]
    if order is None:
        assert paths.reveal_step is not None
        return (paths.rank >= place) & (paths.reveal_step == step_at_count(paths, n)[:, None])
    return paths.rank >= place if order.exchangeable else paths.rank == place


def step_at_count(paths: Trajectories, n: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """The step that reveals the next token when n >= 1 are masked."""
    assert paths.rank is not None
    assert paths.reveal_step is not None
    position = paths.rank.argsort(dim=1).gather(1, paths.length - n[:, None])
    return paths.reveal_step.gather(1, position)[:, 0].long()


def log_score_gain(step: Step) -> float:
    """The power to which a step raises its distributions."""
    return step.gain if step.gain_on == "log_score" else 1.0
