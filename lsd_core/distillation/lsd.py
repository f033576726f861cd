"""Learnable sampler distillation (LSD, arXiv 2509.19962, Eq. 5, 6, Algorithm 2).

Step k of the student scales the score by a gain phi_k, from 1; L_k = E d(s*(x*_k, t_k), phi_k s(x_k, t_k)),
x*_k the teacher's state and x_k the student's own at the same time. The draws are not differentiated, so L_k
has a gradient in phi_k alone.

On the score, phi only changes how many tokens are revealed, never which: on the absorbing process it is a
schedule. On the log-score it is an inverse temperature and leaves the reveals alone.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from lsd_core.backbones.protocol import is_dense
from lsd_core.distillation.alignment import LearnedGains, learn
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.controls import plain
from lsd_core.distillation.jump_alignment import JumpStudent
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.masked_alignment import MaskedStudent, TeacherTransitions
from lsd_core.distillation.methods import ANY, Method
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import uniform_times
from lsd_core.trajectories.replay import timed


@dataclass(frozen=True, kw_only=True)
class LSDConfig(AlignmentConfig):
    """Settings of LSD.

    Cost: epochs * paths_per_epoch * M student sequences, and M teacher sequences for each path that is used (on
    full-state processes, in each epoch). On a network of 0.5 ms a sequence the defaults cost about 20 core-seconds
    for M = 4, 8 and 16 together.
    """

    method: ClassVar[str] = "lsd"


def fit(problem: Problem, config: LSDConfig) -> Learned:
    """Learn a gain for each step of the plain grid by Algorithm 2."""
    if is_dense(problem.backbone):
        grid = uniform_times(problem.num_steps)
        return learn(
            problem, config, LearnedGains(grid, config), JumpStudent(problem, problem.backbone, config)
        )
    student, gains = masked_fit(problem, config)
    learned = learn(problem, config, gains, student)
    if config.gain_on == "log_score":
        return learned
    times = student.equivalent_times(learned.table)
    return replace(learned, diagnostics=learned.diagnostics | {"equivalent_times": times})


def masked_fit(problem: Problem, config: LSDConfig) -> tuple[MaskedStudent, LearnedGains]:
    """The student on the masked process and its gains, before any update."""
    backbone = problem.absorbing
    grid = plain(problem.sampler, problem.num_steps, backbone.length)
    paths = timed(problem.trajectories, problem.seed)
    teacher = TeacherTransitions(backbone, paths, list(steps_of(grid, backbone.length)))
    return MaskedStudent(problem, config, teacher), LearnedGains(grid, config)


LSD = Method(
    name="lsd",
    kind="learned",
    description="a gain a step that aligns the student's scores with the teacher's",
    config_class=LSDConfig,
    fit=fit,
    conditional="learned",
    processes=ANY,
)
