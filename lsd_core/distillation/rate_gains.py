"""A gain for each Tweedie step where there is no mask, learned on the student's own states.

Stop the student's own path at time u inside its step k. The reverse bound (METHOD: certificates; Girsanov)

    KL(q_out || p_net) <= E_q int sum_{i,y} [R_k log(R_k / R) - R_k + R] du

compares the rates R_k of the step's bridges with the network's R where the path is. It is a sum over the steps,
so gains are settled first to last, as `gains` does with a mask: candidates start from the same states and draw
with the same uniforms.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.distillation.gains import Gains, Report, Trial, settle
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.rate_terms import bridges_term, denoise_term
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.recording import STOP
from lsd_core.samplers.state import Draws, draw_prior
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

STRATA = 8  # times inside a step at which its paths are stopped, a group of paths at each


@torch.inference_mode()
def settle_rate_gains(
    backbone: DenseBackbone,
    table: StepTable,
    candidates: tuple[float, ...],
    draws: Draws,
    report: Report = lambda step, values: None,
) -> Gains:
    """Choose each step's gain on the log-score among the candidates, first step to last.

    Cost: a call a (step, path), one more a candidate, and on the last step, which ends in a denoise, another.
    """
    x = draw_prior(backbone.process, draws, backbone.length)

    def attempt(step: Step, x: Tensor) -> Trial:
        return _try_candidates(backbone, step, candidates, x, draws)

    return settle(table, list(steps_of(table, backbone.length)), x, candidates, attempt, report)


def _try_candidates(
    backbone: DenseBackbone, step: Step, candidates: tuple[float, ...], x: Int[Tensor, "b l"], draws: Draws
) -> Trial:
    """One step from the states x with every candidate gain, and what it costs there."""
    costs = torch.zeros(len(x), len(candidates), dtype=torch.float64)
    ends: list[list[Tensor]] = [[] for _ in candidates]
    calls = 1 + len(candidates) * (2 if step.last else 1)
    for stratum, rows in enumerate(torch.arange(len(x)).chunk(STRATA)):
        own = Draws(draws.seed, draws.trajectory[rows])
        plain, u = predict(backbone, x[rows], step.t), _time_inside(step, stratum, own)
        for g, gain in enumerate(candidates):
            seen = plain.gained(gain, "log_score")
            costs[rows, g] = step_divergence(backbone, seen, step, u, own)
            ends[g].append(seen.tweedie(step.s).draw(own, 3 * step.index))
    return Trial(costs, [torch.cat(parts) for parts in ends], calls * len(x))


def step_divergence(
    backbone: DenseBackbone, seen: FullPrediction, step: Step, u: float, draws: Draws
) -> Float[Tensor, " b"]:
    """One step's share of the reverse bound, estimated at time u inside it; the last adds its denoise."""
    here = seen.tweedie(u).draw(draws, 3 * step.index + 1)
    value = (step.t - max(step.s, STOP)) * bridges_term(backbone, seen, here, u)
    if not step.last:
        return value
    end = seen.tweedie(STOP).draw(draws, 3 * step.index + 2)
    return value + denoise_term(backbone, seen, end, STOP)


def _time_inside(step: Step, stratum: int, draws: Draws) -> float:
    zero = torch.zeros(1, dtype=torch.long)
    jitter = float(uniforms(draws.seed, draws.trajectory[:1], step.index, zero, Purpose.TIME))
    low = max(step.s, STOP)
    return low + (step.t - low) * (stratum + jitter) / STRATA
