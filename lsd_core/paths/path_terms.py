"""The terms that certificates are means of: functions of given paths, with no draws of their paths' tokens."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.divergence import features_at_count, mean_kl, token_log_probs
from lsd_core.paths.sampler_paths import Paths
from lsd_core.paths.teacher_paths import TeacherPaths
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.types import TIME_GRID, Trajectories

Direction = Literal["reverse", "forward"]


def stopped_mean(
    backbone: Backbone,
    table: StepTable,
    paths: Paths,
    direction: Direction,
    draws: Draws,
    batch: int,
    stops: int,
) -> Float[Tensor, " b"]:
    """l times the mean of `stopped_terms` over `stops` counts a path, stratified over all of them."""
    b, length = paths.x_end.shape
    stop = torch.arange(stops)[None, :]
    slot = uniforms(draws.seed, draws.trajectory[:, None], stop, torch.tensor(0), Purpose.MASK)
    shuffle = slot.argsort(dim=0).argsort(dim=0)  # which of the b strata of its share of 1 .. l
    jitter = uniforms(draws.seed, draws.trajectory[:, None], stop, torch.tensor(1), Purpose.MASK)
    n = 1 + ((stop + (shuffle + jitter) / b) / stops * length).long().clamp(max=length - 1)
    total = torch.zeros(b, dtype=torch.float64)
    for begin in range(0, b, batch):
        part = slice(begin, begin + batch)
        for column in range(stops):
            chosen = paths.select(part)
            total[part] += stopped_terms(backbone, table, chosen, n[part, column], direction)
    return total * length / stops


def stopped_terms(
    backbone: Backbone, table: StepTable, paths: Paths, n: Int[Tensor, " b"], direction: Direction
) -> Float[Tensor, " b"]:
    """Divergence between the step's law and the network's where the next token comes (`next_at_count`).

    In a uniform order that is the mean over the n masked positions.

    `reverse` is KL(step || network), `forward` is KL(network || step). Two network calls a path.
    """
    steps = list(steps_of(table, backbone.length))
    k = paths.step_at_count(n)
    began, stopped = paths.at_step(k), paths.at_count(n)
    t = torch.tensor([step.t for step in steps], dtype=torch.float64)[k]
    gain = torch.tensor([_sharpening(step) for step in steps], dtype=torch.float64)[k]
    of_step, of_network = backbone.features(began, t), features_at_count(backbone, stopped, n)
    where = paths.next_at_count(n)
    if direction == "reverse":
        return mean_kl(backbone, of_step, gain, of_network, 1.0, where)
    return mean_kl(backbone, of_network, 1.0, of_step, gain, where)


def path_cost(backbone: Backbone, table: StepTable, paths: Paths, batch: int) -> Float[Tensor, " b"]:
    """-log q of the paths' tokens given order and cut: a sum over the steps. Cost: M calls a path."""
    cost = torch.zeros(len(paths), dtype=torch.float64)
    for begin in range(0, len(paths), batch):
        part = paths.select(slice(begin, begin + batch))
        for step in steps_of(table, backbone.length):
            t = torch.full((len(part),), step.t, dtype=torch.float64)
            cost[begin : begin + batch] += _cost_of_step(backbone, part, step.index, t, _sharpening(step))
    return cost


def teacher_cost(backbone: Backbone, teacher: Trajectories, batch: int) -> tuple[Float[Tensor, " b"], int]:
    """-log p of a teacher's paths under the teacher itself, and its calls a path.

    Exact: each token just before its own reveal, the network being told the time of that reveal (l calls).
    N-step: its own N steps.
    """
    paths = TeacherPaths.read(teacher, seed=0)
    if teacher.reveal_step is not None and teacher.steps is not None:
        whole = Paths(paths.x_end, paths.rank, teacher.reveal_step.long(), paths.mask)
        return path_cost(backbone, uniform_times(teacher.steps), whole, batch), teacher.steps
    singly = Paths(paths.x_end, paths.rank, paths.rank, paths.mask)
    time = paths.reveal_time.clamp(min=1 / TIME_GRID).gather(1, paths.rank.argsort(dim=1))
    cost = torch.zeros(len(paths), dtype=torch.float64)
    for begin in range(0, len(paths), batch):
        part = slice(begin, begin + batch)
        for event in range(teacher.length):
            cost[part] += _cost_of_step(backbone, singly.select(part), event, time[part, event], 1.0)
    return cost, teacher.length


def _cost_of_step(backbone: Backbone, paths: Paths, step: int, t: Float[Tensor, " b"], gain: float) -> Tensor:
    """-log q of what each path reveals in a step, from one look at the state before it (b,). One call."""
    x = paths.at_step(torch.full((len(paths),), step))
    features = backbone.features(x, t)
    rows = (paths.step == step).nonzero(as_tuple=True)
    log_q = token_log_probs(backbone, features, rows, paths.x_end[rows], gain)
    return -torch.zeros(len(x), dtype=torch.float64).index_add(0, rows[0], log_q)


def _sharpening(step: Step) -> float:
    return step.gain if step.gain_on == "log_score" else 1.0
