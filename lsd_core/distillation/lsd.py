"""Learnable sampler distillation (LSD, arXiv 2509.19962, Eq. 5, 6, Algorithm 2).

Step k of the student scales the score by a gain phi_k, from 1; L_k = E d(s*(x*_k, t_k), phi_k s(x_k, t_k)),
x*_k the teacher's state and x_k the student's own at the same time. The draws are not differentiated, so L_k
has a gradient in phi_k alone. Scores are taken in units of alpha / (1 - alpha), in which a masked row is its
x0 law: the factor is the same for teacher and student.

On the score, phi only changes how many tokens are revealed, never which: on the absorbing process it is a
schedule. On the log-score it is an inverse temperature and leaves the reveals alone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import is_dense
from lsd_core.distillation.alignment import (
    Alignment,
    base_method,
    begin,
    check_noise,
    equivalent_times,
    masked_laws,
    reveal_chances,
    token_noise,
    updates,
)
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.controls import plain
from lsd_core.distillation.distance import DISTANCES, chunks, compared_rows, powered
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.lsd_rates import fit_rates
from lsd_core.distillation.methods import ANY, Method
from lsd_core.paths.teacher_paths import TeacherFeatures, TeacherPaths
from lsd_core.samplers.state import call
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable


@dataclass(frozen=True, kw_only=True)
class LSDConfig(AlignmentConfig):
    """Settings of LSD.

    Cost: epochs * paths_per_epoch * M student sequences, and M teacher sequences for each path that is used.
    On a network of 0.5 ms a sequence the defaults cost about 20 core-seconds for M = 4, 8 and 16 together.
    """

    method: ClassVar[str] = "lsd"


def fit(problem: Problem, config: LSDConfig) -> Learned:
    """Learn a gain for each step of the plain grid by Algorithm 2."""
    if is_dense(problem.backbone):
        return fit_rates(problem, problem.backbone, config)
    return _Fit(problem, config).run()


class _Fit:
    """One fit: the gains, their optimiser, and what has been seen."""

    def __init__(self, problem: Problem, config: LSDConfig) -> None:
        self.problem, self.config, self.backbone = problem, config, problem.absorbing
        self.plain = plain(problem.sampler, problem.num_steps, self.backbone.length)
        self.method = base_method(problem, config)
        check_noise(problem, config.coupling)
        self.paths = TeacherPaths.read(problem.trajectories, problem.seed)
        moments = list(steps_of(self.plain, self.backbone.length))
        self.teacher = TeacherFeatures(self.backbone, self.paths, moments)
        self.gains = torch.ones(problem.num_steps, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam([self.gains], lr=config.learning_rate)
        self.alignment = Alignment(problem.num_steps)
        self.sequences = 0

    def run(self) -> Learned:
        history: dict[str, list[Any]] = {}
        for epoch in range(self.config.epochs):
            self.alignment = Alignment(self.problem.num_steps)  # the diagnostic speaks of the last epoch
            losses = [self.update(rows, epoch) for rows in updates(len(self.paths), epoch, self.config)]
            by_step = torch.stack(losses).mean(0)
            self.problem.note(
                history,
                loss=float(by_step.mean()),
                loss_by_step=by_step.tolist(),
                gains=self.gains.tolist(),
            )
            self.problem.progress("lsd", (epoch + 1) / self.config.epochs)
        sequences = self.teacher.sequences + self.sequences
        return Learned(
            table=self.table(), sequences=sequences, history=history, diagnostics=self.diagnostics()
        )

    def table(self) -> StepTable:
        """The plain grid with the gains as they are now."""
        grid, gains = self.plain, tuple(self.gains.tolist())
        return StepTable(times=grid.times, counts=grid.counts, gains=gains, gain_on=self.config.gain_on)

    def update(self, rows: Int[Tensor, " r"], epoch: int) -> Float[Tensor, " m"]:
        """One Adam step on the mean loss of these paths; returns the losses of the M steps."""
        self.adam.zero_grad()
        parts = [self.walk(part, epoch, len(part) / len(rows)) for part in rows.split(self.problem.batch)]
        self.adam.step()
        with torch.no_grad():
            self.gains.clamp_(*self.config.gain_bounds)
        return torch.stack(parts).sum(0)

    def walk(self, rows: Int[Tensor, " r"], epoch: int, weight: float) -> Float[Tensor, " m"]:
        """Walk each path's student through its steps; adds the gradients and returns the losses, weighted."""
        table, losses = self.table(), torch.zeros(self.problem.num_steps, dtype=torch.float64)
        state, coupling = begin(self.problem, self.paths, rows, epoch, self.config, table)
        for step in steps_of(table, self.backbone.length):
            with torch.no_grad():
                t = torch.full((len(rows),), step.t, dtype=torch.float64)
                features, state = call(self.backbone, state, t)
            losses[step.index] = self.align(rows, step, state.x, features, weight)
            with torch.no_grad():
                law = self.method.law(self.backbone, state.x, features, step)
                state = state.moved(coupling.draw(law, step), self.backbone)
        self.sequences += int(state.calls.sum())
        return losses

    def align(
        self, rows: Int[Tensor, " r"], step: Step, x: Int[Tensor, "r l"], features: Tensor, weight: float
    ) -> float:
        """weight * L_k at these states; its gradient is added to the gains'."""
        hidden, masked = self.paths.hidden(rows, step), x == self.backbone.process.mask
        where = compared_rows(hidden, masked, self.config.rows)
        if not bool(where.any()):
            return 0.0
        weight = weight / where.numel()  # a mean over all positions, so that batches add up
        teacher, total = self.teacher.at(rows, step.index), 0.0
        for row in chunks(where, self.backbone.process.num_tokens):
            target = masked_laws(self.backbone, teacher, row, hidden)[0].exp()
            log_p, sums = masked_laws(self.backbone, features, row, masked)
            self.alignment.add(step.index, target, log_p.exp(), sums)
            student = powered(log_p, self.gains[step.index], self.config.gain_on)
            loss = weight * DISTANCES[self.config.distance](target, student).sum()
            loss.backward()
            total += float(loss.detach())
        return total

    def diagnostics(self) -> dict[str, Any]:
        """What phi does, what least squares would have chosen, and where the work went."""
        table, config = self.table(), self.config
        report: dict[str, Any] = {
            "gain_acts_on": "the number of reveals, not the tokens",
            "least_squares_gain": self.alignment.gains(),
            "gains_at_a_bound": sum(gain in config.gain_bounds for gain in table.gains),
            "token_noise": token_noise(self.problem, config.coupling),
            "teacher_sequences": self.teacher.sequences,
            "student_sequences": self.sequences,
        }
        if config.gain_on == "log_score":
            report["gain_acts_on"] = "the tokens, as a temperature; not the number of reveals"
            report["temperatures"] = [1 / gain for gain in table.gains]
        else:
            report["equivalent_times"] = equivalent_times(reveal_chances(self.method, self.backbone, table))
        if not self.backbone.normalised:
            report["row_sums"] = self.alignment.row_sums()
        return report


LSD = Method(
    name="lsd",
    kind="learned",
    description="a gain a step that aligns the student's scores with the teacher's",
    config_class=LSDConfig,
    fit=fit,
    processes=ANY,
)
