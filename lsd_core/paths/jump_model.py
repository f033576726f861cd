"""Costs of edges and of steps with a gain on full-state processes, over the times of stored states.

A Tweedie step from t_i carries each token on its own along exact bridges to the distribution of its clean token
that the network gave at t_i. As a jump process it has rates R_i(u), and the path divergence from the network's own
chain, of rates R, to it grows by sum_{i,y} [R log(R / R_i) - R + R_i] a unit of time (Girsanov): additive over steps.
A base sampler with another kernel q pays E log(tweedie / q) more, both being products over tokens.

A gain is chosen on the sampler's own path, stopped at time u inside its step k, under the reverse bound

    KL(q_out || p_net) <= E_q int sum_{i,y} [R_k log(R_k / R) - R_k + R] du.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.jump_terms import bridges_term, denoise_term, posterior_divergence, rate_divergence
from lsd_core.paths.model import LEAST_PATHS, Attempt, EdgeCosts, Progress, Reference, empty_costs, silent
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.recording import STOP, node_times
from lsd_core.samplers.state import Draws, draw_prior
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories

STRATA = 8  # times inside a step at which its paths are stopped, a group of paths at each
SMALLEST_CHANCE = 1e-12  # frozen rates may give a move no chance at all; it costs as much as this one


@dataclass(frozen=True, eq=False, kw_only=True)
class JumpModel:
    """`PathModel` over the times of the stored states: nodes 1 - k / g, k = 0 .. g - 1, then 0."""

    backbone: DenseBackbone
    method: OneCall
    batch: int = 1
    """Paths whose predictions at all nodes are held at once."""
    stored: Trajectories | None = None
    """Teacher paths, with states."""

    exchangeable = True

    @property
    def length(self) -> int:
        return self.backbone.length

    @property
    def num_nodes(self) -> int:
        """The stored times; none without stored paths, on which gains do not depend."""
        return 0 if self.stored is None else states_of(self.stored).shape[1]

    @property
    def learns_gains(self) -> bool:
        """Tweedie steps are exact bridges, so that the reverse bound knows their rates."""
        return self.method.name == "tweedie"

    def check_steps(self, num_steps: int) -> None:
        if not 1 <= num_steps <= self.num_nodes:
            rule = f"lie in 1 .. {self.num_nodes}, the teacher's times"
            raise InputError("nfe", rule, num_steps, "raise teacher.nodes")

    def table(self, nodes: tuple[int, ...]) -> StepTable:
        return StepTable(times=tuple(1 - node / self.num_nodes for node in nodes))

    def reference(self, max_sequences: int) -> Reference:
        """The stored paths; their costs belong to one base sampler."""
        assert self.stored is not None
        wanted, stored = max(LEAST_PATHS, max_sequences // self.num_nodes), self.stored
        key = (self.method.name, wanted, self.batch)
        return Reference(key, lambda: (stored.select(slice(wanted)), 0), stored=True)

    def edge_costs(self, paths: Trajectories, progress: Progress = silent) -> EdgeCosts:
        """The teacher's last stretch, below 1 / g, is taken as its denoise there; integrals are trapezoidal."""
        states = states_of(paths)
        num_paths, num_nodes = states.shape[:2]
        cost = empty_costs(num_nodes)
        for part in pieces(num_paths, self.batch):
            x = states[part].long()
            seen = [predict(self.backbone, x[:, k], t) for k, t in enumerate(node_times(num_nodes))]
            for i in range(num_nodes):
                cost[i, i + 1 :] += _bridge_costs(seen, i).sum(0)
                if self.method.name != "tweedie" and i + 1 < num_nodes:
                    cost[i, i + 1 : -1] += _kernel_costs(self.method, seen, i).sum(0)
            progress("edge costs", min(1.0, part.stop / num_paths))
        return EdgeCosts(cost / num_paths, None, num_paths * num_nodes)

    def start(self, draws: Draws) -> Int[Tensor, "b l"]:
        return draw_prior(self.backbone.process, draws, self.length)

    def attempts(self, step: Step, x: Int[Tensor, "b l"], draws: Draws) -> Iterator[tuple[Tensor, Attempt]]:
        for stratum, rows in enumerate(torch.arange(len(x)).chunk(STRATA)):
            own = Draws(draws.seed, draws.trajectory[rows])
            plain = predict(self.backbone, x[rows], step.t)
            yield rows, self._attempt(step, plain, _time_inside(step, stratum, own), own)

    def calls_per_gain(self, step: Step) -> int:
        """The last step ends in a denoise, which takes another call."""
        return 2 if step.last else 1

    def _attempt(self, step: Step, plain: FullPrediction, u: float, draws: Draws) -> Attempt:
        def attempt(gain: float) -> tuple[Tensor, Tensor]:
            seen = plain.gained(gain, "log_score")
            end = seen.tweedie(step.s).draw(draws, 3 * step.index)
            return self._cost(step, seen, u, draws), end

        return attempt

    def _cost(self, step: Step, seen: FullPrediction, u: float, draws: Draws) -> Float[Tensor, " b"]:
        """One step's share of the reverse bound, estimated at time u inside it; the last adds its denoise."""
        here = seen.tweedie(u).draw(draws, 3 * step.index + 1)
        value = (step.t - max(step.s, STOP)) * bridges_term(self.backbone, seen, here, u)
        if not step.last:
            return value
        end = seen.tweedie(STOP).draw(draws, 3 * step.index + 2)
        return value + denoise_term(self.backbone, seen, end, STOP)


def states_of(trajectories: Trajectories | None) -> Int[Tensor, "n g l"]:
    """Stored states of full-state paths; InputError where there are none."""
    if trajectories is None or trajectories.states is None:
        held = "none" if trajectories is None else ", ".join(trajectories.columns())
        raise InputError("trajectories", "be given with states", held, "name a teacher in the grid")
    return trajectories.states


def _bridge_costs(seen: list[FullPrediction], i: int) -> Float[Tensor, "b n"]:
    """Costs of Tweedie steps from node i to each later node, the last of them to clean data."""
    growths = [torch.zeros(len(seen[i].x), dtype=torch.float64)]  # at node i both rates are the same
    for later in seen[i + 1 :]:
        growths.append(rate_divergence(later.rates(), seen[i].bridge_rates(later.x, later.t), later.x))
    width = 1 / len(seen)
    parts = [width * (left + right) / 2 for left, right in pairwise(growths)]
    last = seen[-1]
    parts.append(posterior_divergence(last.x0, seen[i].bridge_x0(last.x, last.t)))
    return torch.stack(parts, dim=1).cumsum(1)


def _kernel_costs(method: OneCall, seen: list[FullPrediction], i: int) -> Float[Tensor, "b n"]:
    """E log(tweedie / q) of the teacher's own moves from node i to each later node but the end."""
    costs = []
    for j in range(i + 1, len(seen)):
        step = Step(0, seen[i].t, seen[j].t, 1.0, "log_score")
        there = seen[j].x[..., None]
        exact, frozen = seen[i].tweedie(step.s).probs, method.kernel(seen[i], step).probs
        chances = [probs.gather(-1, there).clamp(min=SMALLEST_CHANCE) for probs in (exact, frozen)]
        costs.append((chances[0] / chances[1]).log().sum((1, 2)))
    return torch.stack(costs, dim=1)


def _time_inside(step: Step, stratum: int, draws: Draws) -> float:
    zero = torch.zeros(1, dtype=torch.long)
    jitter = float(uniforms(draws.seed, draws.trajectory[:1], step.index, zero, Purpose.TIME))
    low = max(step.s, STOP)
    return low + (step.t - low) * (stratum + jitter) / STRATA
