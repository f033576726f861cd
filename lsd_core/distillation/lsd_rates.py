"""LSD where there is no mask (arXiv 2509.19962, Eq. 5, 6, Algorithm 2, as on its CTMC of images).

Step k of the student scales what the network says by a gain phi_k, from 1;
L_k = E d(s*(x*_k, t_k), phi_k s(x_k, t_k)), x*_k the teacher's kept state nearest t_k and x_k the student's own, which
began from a copy of the teacher's prior draw. Scores are compared at every token but the one a position has. A
teacher keeps states and no uniforms, so the student draws its own.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.distillation.alignment import updates
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.distance import DISTANCES
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Gaussian
from lsd_core.samplers.catalog import factorised, get_sampler
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.state import Draws, draw_prior
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times


def fit_rates(problem: Problem, backbone: DenseBackbone, config: AlignmentConfig) -> Learned:
    """Learn a gain for each step of the plain grid. Cost: 2 calls a (path, step) and epoch.

    The settings of coupling and rows mean nothing without a mask.
    """
    stored = problem.kept_states
    assert stored.states is not None
    walk = _Walk(problem, backbone, config, _base_method(problem, backbone, config), stored.states.long())
    history: dict[str, list[Any]] = {}
    for epoch in range(config.epochs):
        losses = torch.stack([walk.update(rows, epoch) for rows in updates(len(stored), epoch, config)])
        by_step, gains = losses.mean(0).tolist(), walk.gains.tolist()
        problem.note(history, loss=float(losses.mean()), loss_by_step=by_step, gains=gains)
        problem.progress("lsd", (epoch + 1) / config.epochs)
    table = walk.table()
    return Learned(
        table=table,
        sequences=walk.sequences,
        history=history,
        diagnostics={
            "gain_acts_on": "all jumps alike" if config.gain_on == "score" else "where tokens jump",
            "gains_at_a_bound": sum(gain in config.gain_bounds for gain in table.gains),
            "token_noise": "independent",
        },
    )


class _Walk:
    """The gains, their optimiser, and the student's chains."""

    def __init__(
        self,
        problem: Problem,
        backbone: DenseBackbone,
        config: AlignmentConfig,
        method: OneCall,
        states: Tensor,
    ) -> None:
        self.problem, self.backbone, self.config = problem, backbone, config
        self.method, self.states = method, states
        self.grid = uniform_times(problem.num_steps)
        self.gains = torch.ones(problem.num_steps, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam([self.gains], lr=config.learning_rate)
        self.sequences = 0

    def table(self) -> StepTable:
        """The plain grid with the gains as they are now."""
        gains = tuple(self.gains.tolist())
        return StepTable(times=self.grid.times, gains=gains, gain_on=self.config.gain_on)

    def update(self, rows: Int[Tensor, " r"], epoch: int) -> Float[Tensor, " m"]:
        """One Adam step on these paths, the student walking beside them; returns the losses of the M steps."""
        self.adam.zero_grad()
        losses = torch.zeros(self.problem.num_steps, dtype=torch.float64)
        for part in rows.split(self.problem.batch):
            losses += len(part) / len(rows) * self._walk(part, epoch, len(part) / len(rows))
        self.adam.step()
        with torch.no_grad():
            self.gains.clamp_(*self.config.gain_bounds)
        return losses

    def _walk(self, rows: Int[Tensor, " r"], epoch: int, weight: float) -> Float[Tensor, " m"]:
        """The losses of the steps; their gradients are added to the gains', weighted."""
        losses, nodes = torch.zeros(self.problem.num_steps, dtype=torch.float64), self.states.shape[1]
        draws = Draws(derive_seed("lsd", self.problem.seed, epoch), rows)
        x = relaxed(self.backbone, self.states[rows, 0], self.config.zeta, draws)
        for step in steps_of(self.table(), self.backbone.length):
            node = min(nodes - 1, round((1 - step.t) * nodes))
            with torch.no_grad():
                teacher = predict(self.backbone, self.states[rows, node], step.t)
                student = predict(self.backbone, x, step.t)
            loss = alignment(teacher, student, self.gains[step.index], self.config)
            (weight * loss).backward()
            losses[step.index] = float(loss.detach())
            self.sequences += 2 * len(rows)
            if not step.last:
                x = self._next(student, step, draws)
        return losses

    @torch.no_grad()
    def _next(self, student: FullPrediction, step: Step, draws: Draws) -> Int[Tensor, "b l"]:
        return self.method.kernel(student.gained(step.gain, step.gain_on), step).draw(draws, step.index)


def alignment(
    teacher: FullPrediction, student: FullPrediction, gain: Float[Tensor, ""], config: AlignmentConfig
) -> Float[Tensor, ""]:
    """Mean distance over positions between the teacher's scores and the student's under the gain."""
    gained = _gained(student, gain, config.gain_on)
    target = teacher.score.scatter(-1, teacher.x[..., None], 0.0)
    log_student = gained.log().scatter(-1, student.x[..., None], -torch.inf)
    both = (teacher.x == student.x)[..., None]  # elsewhere the tokens left out differ: neither is compared
    target = torch.where(both, target, target.scatter(-1, student.x[..., None], 0.0))
    log_student = torch.where(both, log_student, log_student.scatter(-1, teacher.x[..., None], -torch.inf))
    return DISTANCES[config.distance](target.flatten(0, 1), log_student.flatten(0, 1)).mean()


def relaxed(backbone: DenseBackbone, x: Int[Tensor, "b l"], zeta: float, draws: Draws) -> Int[Tensor, "b l"]:
    """The student's start: the teacher's, with zeta * l of its tokens drawn anew from the prior (Eq. 9)."""
    order = uniform_grid(draws.seed, draws.trajectory, 0, backbone.length, Purpose.PERTURB).argsort(dim=1)
    chosen = order.argsort(dim=1) < int(zeta * backbone.length)
    return torch.where(chosen, draw_prior(backbone.process, draws, backbone.length), x)


def _gained(seen: FullPrediction, gain: Float[Tensor, ""], gain_on: str) -> Float[Tensor, "b l s"]:
    """Scores under a gain that has a gradient; as `FullPrediction.gained` has them."""
    if gain_on == "score":
        return gain * seen.score
    return seen.sharpened(gain).score


def _base_method(problem: Problem, backbone: DenseBackbone, config: AlignmentConfig) -> OneCall:
    """The base sampler, if LSD knows how to learn it."""
    method = factorised(get_sampler(problem.sampler, backbone.process))
    ill = isinstance(backbone.process, Gaussian) and method.name == "tweedie"
    if ill and config.gain_on == "score":
        rule = "be log_score for tweedie steps on the gaussian process, whose staggered scores explode"
        raise InputError("lsd.gain_on", rule, "score", "or learn tau_leaping or euler")
    return method
