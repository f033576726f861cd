"""LSD on full-state processes (arXiv 2509.19962, Eq. 5, 6, Algorithm 2, as on its CTMC of images).

Scores are compared at every token but the one a position has, the teacher's at its stored state nearest t_k, the
student's at its own, which began from a copy of the teacher's prior draw. A teacher stores states and no uniforms, so
the student draws its own.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.distillation.alignment import Span, Walk
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.distance import DISTANCES
from lsd_core.distillation.learned import Problem
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.numerics.ranks import ranks
from lsd_core.paths.jump_model import states_of
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import Gaussian
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.state import Draws, draw_prior
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable


class JumpStudent:
    """`Student` on full-state processes; the settings of coupling and rows mean nothing there."""

    def __init__(self, problem: Problem, backbone: DenseBackbone, config: AlignmentConfig) -> None:
        self.problem, self.backbone, self.config = problem, backbone, config
        self.states = states_of(problem.trajectories).long()
        self.method = base_method(problem, backbone, config)
        self.num_paths, self.sequences = len(self.states), 0

    def new_epoch(self) -> None:
        """Nothing is counted by epoch."""

    def begin(self, rows: Int[Tensor, " r"], epoch: int, table: StepTable) -> Walk:
        draws = Draws(derive_seed("lsd", self.problem.seed, epoch), rows)
        x = relaxed(self.backbone, self.states[rows, 0], self.config.zeta, draws)
        return JumpWalk(self, x, self.states[rows], draws)

    def finish(self, walk: Walk) -> None:
        self.sequences += walk.sequences

    def diagnostics(self, table: StepTable) -> dict[str, Any]:
        config = self.config
        return {
            "gain_acts_on": "all jumps alike" if config.gain_on == "score" else "where tokens jump",
            "gains_at_a_bound": sum(gain in config.gain_bounds for gain in table.gains),
            "token_noise": "independent",
        }


class JumpWalk:
    """`Walk` on full-state processes: a call for the teacher and one for the student a step."""

    def __init__(self, student: JumpStudent, x: Tensor, states: Int[Tensor, "r g l"], draws: Draws) -> None:
        self.student, self.x, self.states, self.draws = student, x, states, draws
        self.sequences = 0

    def align(self, step: Step, gain: Float[Tensor, ""], span: Span, weight: float) -> float:
        backbone, nodes = self.student.backbone, self.states.shape[1]
        node = min(nodes - 1, round((1 - step.t) * nodes))
        with torch.no_grad():
            teacher = predict(backbone, self.states[:, node], step.t)
            self.seen = predict(backbone, self.x, step.t)
        self.sequences += 2 * len(self.x)
        loss = weight * alignment(teacher, self.seen, gain, self.student.config)
        loss.backward()
        return float(loss.detach())

    @torch.no_grad()
    def advance(self, step: Step) -> None:
        kernel = self.student.method.kernel(self.seen.gained(step.gain, step.gain_on), step)
        self.x = kernel.draw(self.draws, step.index)


def alignment(
    teacher: FullPrediction, student: FullPrediction, gain: Float[Tensor, ""], config: AlignmentConfig
) -> Float[Tensor, ""]:
    """Mean distance over positions between the teacher's scores and the student's under the gain."""
    gained = gain * student.score if config.gain_on == "score" else student.sharpened(gain).score
    target = teacher.score.scatter(-1, teacher.x[..., None], 0.0)
    log_student = gained.log().scatter(-1, student.x[..., None], -torch.inf)
    both = (teacher.x == student.x)[..., None]  # elsewhere the tokens left out differ: neither is compared
    target = torch.where(both, target, target.scatter(-1, student.x[..., None], 0.0))
    log_student = torch.where(both, log_student, log_student.scatter(-1, teacher.x[..., None], -torch.inf))
    return DISTANCES[config.distance](target.flatten(0, 1), log_student.flatten(0, 1)).mean()


def relaxed(backbone: DenseBackbone, x: Int[Tensor, "b l"], zeta: float, draws: Draws) -> Int[Tensor, "b l"]:
    """The student's start: the teacher's, with zeta * l of its tokens drawn anew from the prior (Eq. 9)."""
    order = uniform_grid(draws.seed, draws.trajectory, 0, backbone.length, Purpose.PERTURB)
    chosen = ranks(order, 1) < int(zeta * backbone.length)
    return torch.where(chosen, draw_prior(backbone.process, draws, backbone.length), x)


def base_method(problem: Problem, backbone: DenseBackbone, config: AlignmentConfig) -> OneCall:
    """The base sampler, if LSD knows how to learn it."""
    method = named(problem.sampler, backbone)
    ill = isinstance(backbone.process, Gaussian) and method.name == "tweedie"
    if ill and config.gain_on == "score":
        rule = "be log_score for tweedie steps on the gaussian process, whose staggered scores explode"
        raise InputError("lsd.gain_on", rule, "score", "or learn tau_leaping or euler")
    return method
