"""LSD+ (arXiv 2509.19962, Eq. 7, 8): gains and times, learned by aligning what a step does.

The student's step sizes are kappa = softmax(w), from uniform, so tau_k is 1 minus the sum of those before k.
Step k changes token i to y with probability r_k phi_k p_i(y | x_k, tau_k), r_k its reveal chance,
kappa_k / tau_k for log-linear noise; it is compared with the teacher's transition summed over the N / M
teacher steps of the k-th of M equal intervals, rows at the teacher's states, zero once it has revealed i.
The gradient reaches w through r_k and, where the network is conditioned on the time, through that input.

`fit_literal` compares with one teacher step instead, as Eq. 7 is printed: its optimum has kappa = 1 / N, with
which M steps never leave the noise and the last one reveals nearly everything.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.distillation.alignment import Span, learn
from lsd_core.distillation.alignment_config import AlignmentConfig, check_count, check_positive
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.masked_alignment import MaskedStudent, TeacherTransitions
from lsd_core.distillation.methods import Method
from lsd_core.errors import InputError
from lsd_core.samplers.catalog import steps_in_counts
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.replay import timed

LARGEST_LOGIT = 6.0  # of w: a step is at most about e^12 times another


@dataclass(frozen=True, kw_only=True)
class LSDPlusConfig(AlignmentConfig):
    """Settings of LSD+.

    Cost: epochs * paths_per_epoch * M student sequences, and M * teacher_points teacher sequences for each
    path that is used. Learning times on a network that is conditioned on the time also costs its backward pass.
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
    return _fit(problem, config, literal=False)


def fit_literal(problem: Problem, config: LSDPlusConfig) -> Learned:
    """Learn them against one teacher step: reported, not recommended."""
    return _fit(problem, config, literal=True)


def _fit(problem: Problem, config: LSDPlusConfig, *, literal: bool) -> Learned:
    student = MaskedStudent(problem, config, teacher_transitions(problem, config, literal=literal))
    learned = learn(problem, config, GainsAndTimes(problem.num_steps, config), student)
    points = student.teacher.points
    report = learned.diagnostics | {
        "target": "one teacher step" if literal else f"{points} teacher steps summed",
        "equivalent_times": student.equivalent_times(learned.table),
    }
    if config.gain_on == "score":
        report["gain_acts_on"] = "the number of reveals, as the times do, not the tokens"
    return replace(learned, diagnostics=report)


def teacher_transitions(problem: Problem, config: LSDPlusConfig, *, literal: bool) -> TeacherTransitions:
    """The teacher's transitions in each of M equal intervals: N / M of its steps summed, or one of N."""
    backbone, paths = problem.absorbing, timed(problem.trajectories, problem.seed)
    most = max(1, (paths.steps or 1 << 30) // problem.num_steps)
    points = 1 if literal else min(config.teacher_points, most)
    moments = list(steps_of(uniform_times(problem.num_steps * points), backbone.length))
    t = torch.tensor([moment.t for moment in moments], dtype=torch.float64)
    s = torch.tensor([moment.s for moment in moments], dtype=torch.float64)
    if literal:
        s = (t - 1 / (paths.steps or config.teacher_steps)).clamp(min=0.0)
    return TeacherTransitions(backbone, paths, moments, points, backbone.process.reveal_chance(t, s))


class GainsAndTimes:
    """`Numbers` of LSD+: a gain for each step, and the logits of the step sizes."""

    def __init__(self, num_steps: int, config: LSDPlusConfig) -> None:
        self.config = config
        self.gains = torch.ones(num_steps, dtype=torch.float64, requires_grad=True)
        self.logits = torch.zeros(num_steps, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam(
            [
                {"params": [self.gains], "lr": config.learning_rate},
                {"params": [self.logits], "lr": config.time_learning_rate},
            ]
        )
        self.begin(epoch=0)

    def starts(self) -> Float[Tensor, " m"]:
        """tau_0 ... tau_{M-1}, the times at which the steps begin: tau_k = sum of kappa_j over j >= k."""
        return self.logits.softmax(0).flip(0).cumsum(0).flip(0)

    def table(self) -> StepTable:
        inner = self.starts()[1:].tolist()
        return StepTable(
            times=(1.0, *inner, 0.0), gains=tuple(self.gains.tolist()), gain_on=self.config.gain_on
        )

    def begin(self, epoch: int) -> None:
        """Gains and times move together, or in alternate epochs."""
        joint = self.config.training == "joint"
        self.move_gains, self.move_times = joint or epoch % 2 == 0, joint or epoch % 2 == 1
        self.adam.zero_grad()
        self.now = self.starts()
        self.leaf = self.now.detach().requires_grad_(self.move_times)

    def span(self, k: int) -> Span:
        """tau_0 is 1 whatever the logits: no gradient need pass through the network there."""
        start = self.leaf[k] if k else self.leaf[k].detach()
        end = self.leaf[k + 1] if k + 1 < len(self.leaf) else torch.zeros_like(start)
        return start, end

    def move(self) -> None:
        if self.move_times and self.leaf.grad is not None:
            self.now.backward(self.leaf.grad)
        if not self.move_gains:
            self.gains.grad = None
        self.adam.step()
        with torch.no_grad():
            self.gains.clamp_(*self.config.gain_bounds)
            self.logits.clamp_(-LARGEST_LOGIT, LARGEST_LOGIT)


LSD_PLUS = Method(
    name="lsd_plus",
    kind="learned",
    description="LSD with learned times: aligns what a step does, not its score",
    config_class=LSDPlusConfig,
    fit=fit,
    conditional="learned",
)
LSD_PLUS_LITERAL = Method(
    name="lsd_plus_literal",
    kind="learned",
    description="LSD+ with the published target, one teacher step; its optimum never leaves the noise",
    config_class=LSDPlusConfig,
    fit=fit_literal,
)
