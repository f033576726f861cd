"""Certificates: how far, in nats, a few-step sampler's output law is from a named reference, at most.

All are for the absorbing process and samplers whose step draws every token from one look at the network (any
other kernel: `path_bound`). With p_net the law that reveals one token at a time in the sampler's order, the network
being told t(n) (`time_of_count`), q_{k,i} the law of step k at position i, x^(n) a path stopped with n masked, and
i the position that comes next there (in a uniform order, the mean over all masked ones):

- `reverse`: KL(q_out || p_net) <= sum_n E_q mean_i KL(q_{k,i} || p_i(. | x^(n))), paths of the sampler itself;
- `forward_swapped`: KL(p_net || q_out) <= sum_n E_p mean_i KL(p_i(. | x^(n)) || q_{k,i}), paths of p_net;
- `forward_teacher`: KL(teacher || q_out) <= E [-log q(path) + log teacher(path)], paths of the teacher;
- `forward_data`: E [-log q(path)] minus the network's own NLL, on data: no bound on anything.

Each follows from the chain rule over reveals, their order and their cut into steps being independent of the
tokens: dropping order and cut can only shrink a divergence. A sampler with an order of its own charges a teacher's
tokens along that; the teacher's own term stays in the teacher's order, where it is at most the entropy of the
tokens, so the bound holds and is looser by what the teacher's order tells about its tokens (nothing, if the network
is consistent). A certificate holds for the tables it was asked about only if its paths did not help to choose them.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.certificates.certificate import Certificate
from lsd_core.errors import InputError
from lsd_core.paths.path_terms import path_cost, stopped_mean, teacher_cost
from lsd_core.paths.sampler_paths import Paths, cut, named, one_at_a_time, own_paths
from lsd_core.paths.teacher_paths import TeacherPaths
from lsd_core.samplers.orders import UNIFORM
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories

ONE_AT_A_TIME = "the network revealing one token at a time, told t = n / (l + 1)"
IN_ORDER = "the network revealing one token at a time in {} order, told t = n / (l + 1)"
EXACT_TEACHER = "the exact reverse chain of the network (first hitting)"


@torch.inference_mode()
def reverse(
    backbone: Backbone,
    sampler: str,
    table: StepTable,
    *,
    num_paths: int,
    seed: int,
    batch: int,
    stops: int = 4,
) -> Certificate:
    """The reverse certificate on fresh paths of the sampler. Cost: M + 2 stops calls a path.

    Zero for a sampler that reveals one token at a time without gain. Each path is stopped at `stops` counts,
    stratified over 1 .. l.
    """
    draws = Draws(seed, torch.arange(num_paths))
    paths, drawn = own_paths(backbone, sampler, table, draws, batch)
    values = stopped_mean(backbone, table, paths, "reverse", draws, batch, stops)
    sequences = drawn + 2 * stops * num_paths
    return Certificate.of("reverse", "KL(sampler || reference)", _reference(paths), values, sequences)


@torch.inference_mode()
def forward_swapped(
    backbone: Backbone,
    sampler: str,
    table: StepTable,
    *,
    num_paths: int,
    seed: int,
    batch: int,
    stops: int = 4,
    paths: Paths | None = None,
) -> Certificate:
    """The reverse certificate with roles swapped, on paths of p_net: no subtraction, every term >= 0.

    Cost: 2 stops calls a path, and l more to draw the paths. An exact teacher's `paths` can be given instead
    where the network is time-free; told the time, it is another law that drew them. So it is in another order.
    """
    draws = Draws(seed, torch.arange(len(paths) if paths else num_paths))
    if paths and paths.order != (order := named(sampler, backbone).order):
        raise InputError("paths", f"be drawn in {order.name} order, the sampler's", paths.order.name)
    paths, drawn = (paths, 0) if paths else one_at_a_time(backbone, sampler, draws, batch)
    paths = cut(paths, backbone, sampler, table, draws)
    values = stopped_mean(backbone, table, paths, "forward", draws, batch, stops)
    sequences = drawn + 2 * stops * len(paths)
    return Certificate.of("forward_swapped", "KL(reference || sampler)", _reference(paths), values, sequences)


@torch.inference_mode()
def forward_teacher(
    backbone: Backbone, sampler: str, table: StepTable, teacher: Trajectories, *, seed: int, batch: int
) -> Certificate:
    """What the sampler charges for the teacher's paths above what the teacher itself does.

    Cost: M + l calls a path for an exact teacher, M + N for one of N steps.
    """
    draws = Draws(seed, torch.arange(len(teacher)))
    paths = cut(as_paths(teacher), backbone, sampler, table, draws)
    own, calls = teacher_cost(backbone, teacher, batch)
    values = path_cost(backbone, table, paths, batch) - own
    reference = EXACT_TEACHER if teacher.steps is None else f"the teacher of {teacher.steps} steps"
    sequences = len(teacher) * (table.num_steps + calls)
    return Certificate.of("forward_teacher", "KL(reference || sampler)", reference, values, sequences)


@torch.inference_mode()
def forward_data(
    backbone: Backbone, sampler: str, table: StepTable, data: Int[Tensor, "b l"], *, seed: int, batch: int
) -> Certificate:
    """Excess over the network on data: the sampler's -log q(path) minus the network's, in the sampler's order.

    It is no bound: KL(data || sampler) is at most cost - H(data), and H(data) is unknown. Cost: M + l calls a
    path.
    """
    draws = Draws(seed, torch.arange(len(data)))
    order = named(sampler, backbone).order
    rank = order.rank(draws, data.shape[1])
    singly = Paths(data, rank, rank, backbone.process.mask, order)
    every = StepTable(counts=tuple(range(data.shape[1], -1, -1)))
    own = path_cost(backbone, every, singly, batch)
    values = path_cost(backbone, table, cut(singly, backbone, sampler, table, draws), batch) - own
    sequences = len(data) * (table.num_steps + data.shape[1])
    return Certificate.of("excess_over_network_on_data", None, _reference(singly), values, sequences)


def _reference(paths: Paths) -> str:
    """p_net along these paths' order, by name."""
    return ONE_AT_A_TIME if paths.order == UNIFORM else IN_ORDER.format(paths.order.name)


def as_paths(teacher: Trajectories) -> Paths:
    """Stored teacher paths, one token at a time in their order."""
    read = TeacherPaths.read(teacher, seed=0)
    return Paths(read.x_end, read.rank, read.rank, read.mask)
