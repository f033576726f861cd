"""Certificates of masked samplers: how far, in nats, the output distribution is from a named reference, at most.

For samplers whose step draws every token from one network call. With p_net the distribution of unmasking one
token at a time in the sampler's order, the network given t(n) (`time_of_count`), q_{k,i} that of step k at
position i, x^(n) a path stopped with n masked, and i the position that comes next there (in a uniform order, the
mean over all masked ones):

- `reverse`: KL(q_out || p_net) <= sum_n E_q mean_i KL(q_{k,i} || p_i(. | x^(n))), paths of the sampler itself;
- `forward_swapped`: KL(p_net || q_out) <= sum_n E_p mean_i KL(p_i(. | x^(n)) || q_{k,i}), paths of p_net.

Each follows from the chain rule over reveals, their order and their cut into steps being independent of the
tokens: dropping order and cut can only shrink a divergence. Along one fixed permutation the tokens tell both, and a
certificate is the divergence itself. A certificate holds for the given tables only if its
paths did not help to choose them.

A sampler that looks at the tokens (`ByPrediction`) chooses the positions S(x) of a step at its state x, before it
draws. The reference chooses the same S(x), puts it in a random order and asks the network again before each token:

    KL(q_out || p_along) <= sum_k E_q sum_{j < |S|} mean_{i in S left} KL(q_{k,i} || p_i(. | x, j tokens of S))

by the chain rule over steps and, within each, over an order that is drawn before the tokens. With one token a step it
is 0. A consistent network has one distribution in all orders, its own, which then is the reference, and the certificate
is the divergence from it: given x_out, S(x) of the first step, then that of the second, and so on, are known, so no
information is dropped with the path. Otherwise the choices of few steps are part of the reference, as its name says.
Only `reverse` is computed: paths of p_along would take l calls each for every table. Positions that depend on the
tokens drawn there have a certificate of their own (`certificates.drawn`).
"""

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.certificates.base import Certificate
from lsd_core.certificates.drawn import reverse_drawn
from lsd_core.paths.masked_terms import stopped_mean
from lsd_core.paths.sampler_paths import cut, named, one_at_a_time, order_along, own_paths
from lsd_core.samplers.catalog import chooses_by_draw, get_sampler
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.conditions import Conditions

ONE_AT_A_TIME = "the network revealing one token at a time, told t = n / (l + 1)"
ALONG_CHOICES = (
    "the network revealing one token at a time along this sampler's own choices, told t = n / (l + 1)"
)
IN_ORDER = "the network revealing one token at a time in {} order, told t = n / (l + 1)"


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
    conditions: Conditions | None = None,
) -> Certificate:
    """The reverse certificate on fresh paths of the sampler. Cost: M + 2 stops calls a path.

    Zero for a sampler that unmasks one token at a time without gain. Each path is stopped at `stops` counts,
    stratified over 1 .. l. Under `conditions` it is the mean over templates of a divergence given each.
    """
    if chooses_by_draw(get_sampler(sampler, backbone.process)):
        return reverse_drawn(backbone, table, num_paths=num_paths, seed=seed, batch=batch)
    draws, order = Draws(seed, torch.arange(num_paths)), order_along(sampler, backbone, table)
    backbone, given = _given(backbone, conditions, draws)
    paths, drawn = own_paths(backbone, sampler, table, draws, batch, given)
    values = stopped_mean(backbone, table, paths, order, "reverse", draws, batch, stops)
    sequences, reference = drawn + 2 * stops * num_paths, _reference(order, conditions)
    return Certificate.of("reverse", "KL(sampler || reference)", reference, values, sequences)


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
    conditions: Conditions | None = None,
) -> Certificate:
    """The reverse certificate with roles swapped, on paths of p_net: no subtraction, every term >= 0.

    Cost: l calls a path to draw the paths, and 2 stops more.
    """
    draws, order = Draws(seed, torch.arange(num_paths)), named(sampler, backbone).order.of_table(table.order)
    backbone, given = _given(backbone, conditions, draws)
    paths, drawn = one_at_a_time(backbone, sampler, draws, batch, table.order, given)
    paths = cut(paths, backbone, sampler, table, draws)
    values = stopped_mean(backbone, table, paths, order, "forward", draws, batch, stops)
    sequences, reference = drawn + 2 * stops * num_paths, _reference(order, conditions)
    return Certificate.of("forward_swapped", "KL(reference || sampler)", reference, values, sequences)


def _given(
    backbone: Backbone, conditions: Conditions | None, draws: Draws
) -> tuple[Backbone, Int[Tensor, "b l"] | None]:
    """The backbone that the chains see, and each one's template."""
    if conditions is None:
        return backbone, None
    return Conditioned(backbone), conditions.at(draws.seed, draws.trajectory)


def _reference(order: Order | None, conditions: Conditions | None) -> str:
    """p_net along this order, or along a sampler's own choices, by name."""
    name = (
        ALONG_CHOICES
        if order is None
        else ONE_AT_A_TIME
        if order == UNIFORM
        else IN_ORDER.format(f"the {order.name}" if order.learned else order.name)
    )
    return name if conditions is None else f"{name}, given the tokens of each template"
