"""What every step of every schedule would cost where there is no mask, from one pass over reference paths.

A Tweedie step from t_i carries each token on its own along exact bridges to the law of its clean token that
the network gave at t_i. As a jump process it has rates R_i(u), and the path divergence from the network's own
chain, of rates R, to it grows by sum_{i,y} [R log(R / R_i) - R + R_i] a unit of time (Girsanov). That is
additive over steps, and one network call at each (path, node) prices all edges that leave the node. A base
sampler with another kernel q pays E log(tweedie / q) more, both being products over tokens.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.distillation.learned import Progress
from lsd_core.distillation.prices import EdgePrices
from lsd_core.errors import InputError
from lsd_core.paths.rate_terms import posterior_divergence, rate_divergence
from lsd_core.samplers.catalog import factorised, get_sampler
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.recording import node_times
from lsd_core.samplers.step import Step
from lsd_core.trajectories.types import Trajectories

LEAST = 1e-12  # a frozen rate may give a move no chance at all; it is priced as this one


def price_rates(
    backbone: DenseBackbone,
    sampler: str,
    trajectories: Trajectories,
    batch: int,
    progress: Progress = lambda stage, share: None,
) -> EdgePrices:
    """Price the edges over the times of the kept states: nodes 1 - k / g, k = 0 .. g - 1, then 0.

    `own` is 0: prices are divergences from the teacher already. The teacher's last stretch, below 1 / g, is
    taken as its denoise there. Integrals are trapezoidal over the nodes. Cost: g calls a path.
    """
    method = factorised(get_sampler(sampler, backbone.process))
    if trajectories.states is None or trajectories.x_end is None:
        rule = "hold states and x_end"
        raise InputError(
            "trajectories", rule, ", ".join(trajectories.columns()), "name a teacher in the grid"
        )
    num_paths, num_nodes = len(trajectories), trajectories.states.shape[1]
    cost = torch.zeros(num_nodes + 1, num_nodes + 1, dtype=torch.float64)
    times = node_times(num_nodes)
    for begin in range(0, num_paths, batch):
        states = trajectories.states[begin : begin + batch].long()
        seen = [predict(backbone, states[:, k], t) for k, t in enumerate(times)]
        for i in range(num_nodes):
            cost[i, i + 1 :] += _bridge_prices(seen, i).sum(0)
            if method.name != "tweedie" and i + 1 < num_nodes:
                cost[i, i + 1 : -1] += _kernel_prices(method, seen, i).sum(0)
        progress("prices", min(1.0, (begin + batch) / num_paths))
    return EdgePrices(cost / num_paths, 0.0, num_paths * num_nodes)


def _bridge_prices(seen: list[FullPrediction], i: int) -> Float[Tensor, "b n"]:
    """Prices of Tweedie steps from node i to each later node, the last of them to clean data."""
    growths = [torch.zeros(len(seen[i].x), dtype=torch.float64)]  # at node i both rates are the same
    for later in seen[i + 1 :]:
        growths.append(rate_divergence(later.rates(), seen[i].bridge_rates(later.x, later.t), later.x))
    width = 1 / len(seen)
    pieces = [width * (left + right) / 2 for left, right in pairwise(growths)]
    last = seen[-1]
    pieces.append(posterior_divergence(last.x0, seen[i].bridge_x0(last.x, last.t)))
    return torch.stack(pieces, dim=1).cumsum(1)


def _kernel_prices(method: OneCall, seen: list[FullPrediction], i: int) -> Float[Tensor, "b n"]:
    """E log(tweedie / q) of the teacher's own moves from node i to each later node but the end."""
    prices = []
    for j in range(i + 1, len(seen)):
        step = Step(0, seen[i].t, seen[j].t, 1.0, "log_score")
        there = seen[j].x[..., None]
        exact, frozen = seen[i].tweedie(step.s).probs, method.kernel(seen[i], step).probs
        ratio = exact.gather(-1, there).clamp(min=LEAST) / frozen.gather(-1, there).clamp(min=LEAST)
        prices.append(ratio.log().sum((1, 2)))
    return torch.stack(prices, dim=1)
