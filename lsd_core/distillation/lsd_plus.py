"""LSD+ (arXiv 2509.19962, Eq. 7, 8): gains and times, learned by aligning what a step does.

The student's step sizes are kappa = softmax(w), from uniform, so tau_k is 1 minus the sum of those before k.
Step k changes token i to y with probability r_k phi_k p_i(y | x_k, tau_k), r_k its reveal chance,
kappa_k / tau_k for log-linear noise; it is compared with the teacher's transition summed over the N / M
teacher steps of the k-th of M equal intervals, rows at the teacher's states, zero once it has revealed i.
The gradient reaches w through r_k and, where the network is told the time, through its time input.

`fit_literal` compares with one teacher step instead, as Eq. 7 is printed: its optimum has kappa = 1 / N, with
which M steps never leave the noise and the last one reveals nearly everything.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

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
from lsd_core.distillation.alignment_config import AlignmentConfig, check_count, check_positive
from lsd_core.distillation.distance import DISTANCES, chunks, compared_rows, powered
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import Method
from lsd_core.errors import InputError
from lsd_core.paths.teacher_paths import TeacherFeatures, TeacherPaths
from lsd_core.samplers.catalog import steps_in_counts
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.state import call
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times

LARGEST_LOGIT = 6.0  # of w: a step is at most about e^12 times another


@dataclass(frozen=True, kw_only=True)
class LSDPlusConfig(AlignmentConfig):
    """Settings of LSD+.

    Cost: epochs * paths_per_epoch * M student sequences, and M * teacher_points teacher sequences for each
    path that is used. Learning times on a network that is told the time also pays its backward pass.
    """

    method: ClassVar[str] = "lsd_plus"
    time_learning_rate: float = 1e-2
    """Of Adam, for the logits of the step sizes."""
    training: Literal["joint", "alternate"] = "joint"
    """Gains and times together, or in alternate epochs, gains first."""
    teacher_points: int = 4
    """N / M: teacher steps an interval, at most those the teacher has. Not used by the literal form."""
    teacher_steps: int = 1024
    """N of the literal form where the teacher is exact; an N-step teacher has its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("lsd_plus.time_learning_rate", self.time_learning_rate)
        for field in ("teacher_points", "teacher_steps"):
            check_count(f"lsd_plus.{field}", getattr(self, field))
        if self.training not in ("joint", "alternate"):
            raise InputError("lsd_plus.training", "be one of ['joint', 'alternate']", self.training)

    def check_sampler(self, sampler: Sampler) -> None:
        """Raise InputError unless its steps are in time, where there are times to learn."""
        if steps_in_counts(sampler.name):
            raise InputError("sampler", "step in times for lsd_plus", sampler.name, "use euler or tweedie")
        super().check_sampler(sampler)


def fit(problem: Problem, config: LSDPlusConfig) -> Learned:
    """Learn gains and times against the teacher's summed transition."""
    return _Fit(problem, config, literal=False).run()


def fit_literal(problem: Problem, config: LSDPlusConfig) -> Learned:
    """Learn them against one teacher step: reported, not recommended."""
    return _Fit(problem, config, literal=True).run()


class TeacherTransitions:
    """What the teacher does in each of the student's M intervals, at its own states."""

    def __init__(
        self, problem: Problem, config: LSDPlusConfig, paths: TeacherPaths, *, literal: bool
    ) -> None:
        steps, self.num_steps = (
            problem.trajectories.steps if problem.trajectories else None,
            problem.num_steps,
        )
        self.backbone, self.paths, process = problem.absorbing, paths, problem.absorbing.process
        self.points = (
            1 if literal else min(config.teacher_points, max(1, (steps or 1 << 30) // self.num_steps))
        )
        fine = steps_of(uniform_times(self.num_steps * self.points), self.backbone.length)
        self.moments = list(fine)
        self.features = TeacherFeatures(self.backbone, paths, self.moments)
        t = torch.tensor([moment.t for moment in self.moments], dtype=torch.float64)
        s = torch.tensor([moment.s for moment in self.moments], dtype=torch.float64)
        if literal:
            s = (t - 1 / (steps or config.teacher_steps)).clamp(min=0.0)
        self.chances = process.reveal_chance(t, s)

    def interval(self, k: int) -> list[Step]:
        """The teacher's steps in interval k."""
        return self.moments[k * self.points : (k + 1) * self.points]

    def load(self, rows: Int[Tensor, " r"], k: int) -> list[tuple[float, Tensor, Tensor]]:
        """For each teacher step of interval k: its reveal chance, where it is masked, and its features."""
        return [
            (
                float(self.chances[moment.index]),
                self.paths.hidden(rows, moment),
                self.features.at(rows, moment.index),
            )
            for moment in self.interval(k)
        ]

    def summed(
        self, loaded: list[tuple[float, Tensor, Tensor]], row: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "r v"]:
        """The transition to each token, summed over the loaded steps, at chosen (sample, position)."""
        total = torch.zeros(len(row[0]), self.backbone.process.num_tokens, dtype=torch.float64)
        for chance, hidden, features in loaded:
            total = total + chance * masked_laws(self.backbone, features, row, hidden)[0].exp()
        return total


class _Fit:
    """One fit: gains and step sizes, their optimiser, and what has been seen."""

    def __init__(self, problem: Problem, config: LSDPlusConfig, *, literal: bool) -> None:
        self.problem, self.config, self.backbone = problem, config, problem.absorbing
        self.method = base_method(problem, config)
        check_noise(problem, config.coupling)
        self.paths = TeacherPaths.read(problem.trajectories, problem.seed)
        self.teacher = TeacherTransitions(problem, config, self.paths, literal=literal)
        self.literal = literal
        self.gains = torch.ones(problem.num_steps, dtype=torch.float64, requires_grad=True)
        self.logits = torch.zeros(problem.num_steps, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam(
            [
                {"params": [self.gains], "lr": config.learning_rate},
                {"params": [self.logits], "lr": config.time_learning_rate},
            ]
        )
        self.alignment = Alignment(problem.num_steps)
        self.sequences = 0

    def run(self) -> Learned:
        history: dict[str, list[Any]] = {}
        for epoch in range(self.config.epochs):
            self.alignment = Alignment(self.problem.num_steps)  # the diagnostic speaks of the last epoch
            losses = [self.update(rows, epoch) for rows in updates(len(self.paths), epoch, self.config)]
            by_step, table = torch.stack(losses).mean(0), self.table()
            self.problem.note(
                history,
                loss=float(by_step.mean()),
                loss_by_step=by_step.tolist(),
                gains=list(table.gains),
                times=list(table.grid),
            )
            self.problem.progress("lsd_plus", (epoch + 1) / self.config.epochs)
        sequences = self.teacher.features.sequences + self.sequences
        return Learned(
            table=self.table(), sequences=sequences, history=history, diagnostics=self.diagnostics()
        )

    def starts(self) -> Float[Tensor, " m"]:
        """tau_0 ... tau_{M-1}, the times at which the steps begin: tau_k = sum of kappa_j over j >= k."""
        return self.logits.softmax(0).flip(0).cumsum(0).flip(0)

    def table(self) -> StepTable:
        """Times and gains as they are now."""
        inner = self.starts()[1:].tolist()
        return StepTable(
            times=(1.0, *inner, 0.0), gains=tuple(self.gains.tolist()), gain_on=self.config.gain_on
        )

    def trains(self, epoch: int) -> tuple[bool, bool]:
        """Whether the gains and the times move in this epoch."""
        joint = self.config.training == "joint"
        return joint or epoch % 2 == 0, joint or epoch % 2 == 1

    def update(self, rows: Int[Tensor, " r"], epoch: int) -> Float[Tensor, " m"]:
        """One Adam step on the mean loss of these paths; returns the losses of the M steps."""
        self.adam.zero_grad()
        move_gains, move_times = self.trains(epoch)
        starts = self.starts()
        leaf = starts.detach().requires_grad_(move_times)
        parts = [
            self.walk(part, epoch, len(part) / len(rows), leaf) for part in rows.split(self.problem.batch)
        ]
        if move_times and leaf.grad is not None:
            starts.backward(leaf.grad)
        if not move_gains:
            self.gains.grad = None
        self.adam.step()
        with torch.no_grad():
            self.gains.clamp_(*self.config.gain_bounds)
            self.logits.clamp_(-LARGEST_LOGIT, LARGEST_LOGIT)
        return torch.stack(parts).sum(0)

    def walk(self, rows: Int[Tensor, " r"], epoch: int, weight: float, leaf: Tensor) -> Float[Tensor, " m"]:
        """Walk each path's student through its steps; adds the gradients and returns the losses, weighted."""
        table, losses = self.table(), torch.zeros(self.problem.num_steps, dtype=torch.float64)
        state, coupling = begin(self.problem, self.paths, rows, epoch, self.config, table)
        through_time = leaf.requires_grad and not self.backbone.time_free
        for step in steps_of(table, self.backbone.length):
            with torch.set_grad_enabled(through_time):
                features, state = call(self.backbone, state, leaf[step.index].expand(len(rows)))
            losses[step.index] = self.align(rows, step, state.x, features, weight, leaf)
            with torch.no_grad():
                law = self.method.law(self.backbone, state.x, features.detach(), step)
                state = state.moved(coupling.draw(law, step), self.backbone)
        self.sequences += int(state.calls.sum())
        return losses

    def align(
        self,
        rows: Int[Tensor, " r"],
        step: Step,
        x: Int[Tensor, "r l"],
        features: Tensor,
        weight: float,
        leaf: Float[Tensor, " m"],
    ) -> float:
        """weight * L_k at these states; its gradients are added to those of the gains and of `leaf`."""
        k, process = step.index, self.backbone.process
        loaded = self.teacher.load(rows, k)
        hidden, masked = loaded[0][1], x == process.mask
        where = compared_rows(hidden, masked, self.config.rows)
        if not bool(where.any()):
            return 0.0
        weight = weight / where.numel()  # a mean over all positions, so that batches add up
        total, read = 0.0, features.detach().requires_grad_(features.requires_grad)
        for row in chunks(where, process.num_tokens):
            target = self.teacher.summed(loaded, row).detach()
            log_p, sums = masked_laws(self.backbone, read, row, masked)
            end = leaf[k + 1] if k + 1 < len(leaf) else torch.zeros_like(leaf[k])
            chance = process.reveal_chance(leaf[k], end)
            self.alignment.add(k, target, (chance * log_p.exp()).detach(), sums)
            student = powered(log_p, self.gains[k], self.config.gain_on) + chance.log()
            loss = weight * DISTANCES[self.config.distance](target, student).sum()
            loss.backward()
            total += float(loss.detach())
        if read.grad is not None:
            features.backward(read.grad)
        return total

    def diagnostics(self) -> dict[str, Any]:
        """What the gains and times do, what least squares would have chosen, and where the work went."""
        table, config = self.table(), self.config
        on_score = config.gain_on == "score"
        report: dict[str, Any] = {
            "target": "one teacher step" if self.literal else f"{self.teacher.points} teacher steps summed",
            "gain_acts_on": "the number of reveals, as the times do, not the tokens",
            "equivalent_times": equivalent_times(reveal_chances(self.method, self.backbone, table)),
            "least_squares_gain": self.alignment.gains(),
            "gains_at_a_bound": sum(gain in config.gain_bounds for gain in table.gains),
            "token_noise": token_noise(self.problem, config.coupling),
            "teacher_sequences": self.teacher.features.sequences,
            "student_sequences": self.sequences,
        }
        if not on_score:
            report["gain_acts_on"] = "the tokens, as a temperature; not the number of reveals"
            report["temperatures"] = [1 / gain for gain in table.gains]
        if not self.backbone.normalised:
            report["row_sums"] = self.alignment.row_sums()
        return report


LSD_PLUS = Method(
    name="lsd_plus",
    kind="learned",
    description="LSD with learned times: aligns what a step does, not its score",
    config_class=LSDPlusConfig,
    fit=fit,
)
LSD_PLUS_LITERAL = Method(
    name="lsd_plus_literal",
    kind="learned",
    description="LSD+ with the published target, one teacher step; its optimum never leaves the noise",
    config_class=LSDPlusConfig,
    fit=fit_literal,
)
