"""LSD and LSD+ on the masked process: the student's chains, and their loss against the teacher's transitions.

Scores are taken in units of alpha / (1 - alpha), in which a masked row is its x0 distribution: the factor is the
same for teacher and student.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.alignment import Span, Walk
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.coupling import Common, Coupling, CouplingName, Independent, clocks, perturbed
from lsd_core.distillation.distance import DISTANCES, compared_rows, powered
from lsd_core.distillation.learned import Problem
from lsd_core.distillation.least_squares import LeastSquares
from lsd_core.distillation.teacher_targets import TeacherTargets
from lsd_core.distillation.teacher_transitions import TeacherTransitions, masked_log_probs
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.divergence import row_chunks
from lsd_core.processes import LogLinear
from lsd_core.samplers.catalog import factorised, get_sampler
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.one_call import OneCall, Unmasking
from lsd_core.samplers.prediction import call
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import TIME_GRID, Trajectories


class MaskedStudent:
    """`Student` on the masked process."""

    def __init__(self, problem: Problem, config: AlignmentConfig, teacher: TeacherTransitions) -> None:
        self.problem, self.config, self.backbone = problem, config, problem.absorbing
        self.method = base_method(problem, config)
        check_noise(problem, config.coupling)
        self.teacher, self.num_paths = teacher, len(teacher.paths)
        self.targets = TeacherTargets(problem, teacher, min(problem.batch, config.paths_per_update))
        self.least_squares = LeastSquares(problem.num_steps)
        self.student_sequences = 0

    @property
    def sequences(self) -> int:
        return self.targets.sequences + self.student_sequences

    def new_epoch(self) -> None:
        """The diagnostic is of the last epoch."""
        self.least_squares = LeastSquares(self.problem.num_steps)

    def begin(self, rows: Int[Tensor, " r"], epoch: int, table: StepTable) -> Walk:
        state, coupling = begin(self.problem, self.teacher.paths, rows, epoch, self.config, table)
        return MaskedWalk(self, rows, state, coupling)

    def finish(self, walk: Walk) -> None:
        self.student_sequences += walk.sequences

    def align(
        self,
        rows: Int[Tensor, " r"],
        step: Step,
        x: Int[Tensor, "r l"],
        features: Tensor,
        gain: Float[Tensor, ""],
        span: Span,
        weight: float,
    ) -> float:
        """weight * L_k at these states; its gradients are added to those of the gain and of the span."""
        k, process = step.index, self.backbone.process
        hidden, masked = self.targets.hidden(rows, k), x == process.mask
        where = compared_rows(hidden, masked, self.config.rows)
        if not bool(where.any()):
            return 0.0
        target_at = self.targets.load(rows, k)
        weight = weight / where.numel()  # a mean over all positions, so that batches add up
        total, read = 0.0, features.detach().requires_grad_(features.requires_grad)
        for row in row_chunks(where, process.num_tokens):
            target = target_at(row).detach()
            log_p, sums = masked_log_probs(self.backbone, read, row, masked)
            chance = gain.new_ones(()) if span is None else process.reveal_chance(*span)
            self.least_squares.add(k, target, (chance * log_p.exp()).detach(), sums)
            student = powered(log_p, gain, self.config.gain_on) + chance.log()
            loss = weight * DISTANCES[self.config.distance](target, student).sum()
            loss.backward()
            total += float(loss.detach())
        if read.grad is not None:
            features.backward(read.grad)
        return total

    def diagnostics(self, table: StepTable) -> dict[str, Any]:
        """What the gains do, what least squares would have chosen, and where the work went."""
        config = self.config
        on_score = config.gain_on == "score"
        report: dict[str, Any] = {
            "gain_acts_on": "the number of reveals, not the tokens"
            if on_score
            else "the tokens, as a temperature; not the number of reveals",
            "least_squares_gain": self.least_squares.gains(),
            "gains_at_a_bound": sum(gain in config.gain_bounds for gain in table.gains),
            "token_noise": token_noise(self.problem, config.coupling),
            "teacher_sequences": self.targets.sequences,
            "student_sequences": self.student_sequences,
        }
        if not on_score:
            report["temperatures"] = [1 / gain for gain in table.gains]
        if not self.backbone.normalised:
            report["row_sums"] = self.least_squares.row_sums()
        return report

    def equivalent_times(self, table: StepTable) -> list[float]:
        """Times at which plain steps reveal with the table's chances: see `equivalent_times`."""
        return equivalent_times(reveal_chances(self.method, self.backbone, table))


class MaskedWalk:
    """`Walk` on the masked process: one network call a step, shared by the loss and the draw."""

    def __init__(
        self, student: MaskedStudent, rows: Int[Tensor, " r"], state: State, coupling: Coupling
    ) -> None:
        self.student, self.rows, self.state, self.coupling = student, rows, state, coupling

    @property
    def sequences(self) -> int:
        return int(self.state.calls.sum())

    def align(self, step: Step, gain: Float[Tensor, ""], span: Span, weight: float) -> float:
        backbone = self.student.backbone
        t = torch.tensor(step.t, dtype=torch.float64) if span is None else span[0]
        with torch.set_grad_enabled(t.requires_grad and not backbone.time_free):
            self.features, self.state = call(backbone, self.state, t.expand(len(self.rows)))
        return self.student.align(self.rows, step, self.state.x, self.features, gain, span, weight)

    @torch.no_grad()
    def advance(self, step: Step) -> None:
        backbone = self.student.backbone
        seen = MaskedPrediction.of(backbone, self.state.x, self.features.detach(), step)
        kernel = self.student.method.kernel(seen, step)
        assert isinstance(kernel, MaskedKernel)
        self.state = self.state.moved(self.coupling.draw(kernel, step), backbone)


def base_method(problem: Problem, config: AlignmentConfig) -> OneCall:
    """The problem's base sampler, if these methods know how to learn it."""
    method = get_sampler(problem.sampler, problem.absorbing.process)
    config.check_sampler(method)
    return factorised(method)


def check_noise(problem: Problem, coupling: CouplingName) -> None:
    """Reveal times are stored for log-linear noise; only there do they mean the same to the student."""
    noise = problem.absorbing.process.noise
    if coupling == "common" and not isinstance(noise, LogLinear):
        raise InputError("coupling", "be independent unless noise is log-linear", coupling)


def begin(
    problem: Problem,
    paths: Trajectories,
    rows: Int[Tensor, " r"],
    epoch: int,
    config: AlignmentConfig,
    table: StepTable,
) -> tuple[State, Coupling]:
    """The student's chains at their relaxed start, one for each path, and their coupling on this table.

    The uniforms of an epoch are its own, except those that are the teacher's under the common coupling.
    """
    process, chosen = problem.absorbing.process, paths.select(rows)
    own = Draws(derive_seed(problem.seed, "student", epoch), chosen.index)
    given = None
    if chosen.given is not None:
        assert chosen.x_end is not None
        given = chosen.x_end.long().masked_fill(~chosen.given, process.mask)
    state = start(problem.absorbing, own, given)
    x = perturbed(state.x, process, config.zeta, derive_seed(problem.seed, "zeta", epoch), chosen.index)
    coupling: Coupling = Independent(own)
    if config.coupling == "common":
        shared = problem.teacher_seed
        tokens = own if shared is None else Draws(shared, chosen.index)
        clock: tuple[float, ...] = ()
        if table.times is not None:
            method = base_method(problem, config)
            clock = clocks(table.times, reveal_chances(method, problem.absorbing, table))
        assert chosen.reveal_time is not None
        assert chosen.rank is not None
        coupling = Common(chosen.reveal_time.double() / TIME_GRID, chosen.rank, clock, own, tokens)
    return state.moved(x, problem.absorbing), coupling


def token_noise(problem: Problem, coupling: CouplingName) -> str:
    """Whose token uniforms the student used."""
    common = coupling == "common" and problem.teacher_seed is not None
    return "the teacher's" if common else "its own"


def reveal_chances(method: OneCall, backbone: Backbone, table: StepTable) -> list[float]:
    """Chance that a masked token is unmasked in each step of a table of times, a gain on the score included."""
    assert isinstance(method, Unmasking)
    return [method.gained_chance(backbone, step) for step in steps_of(table, backbone.length)]


def equivalent_times(chances: Sequence[float]) -> list[float]:
    """Times at which plain steps reveal with these chances: t_{k+1} = t_k (1 - r_k), down to 0.

    On a network that ignores time, gains on the score are this schedule and nothing else. It has fewer steps
    where a chance reaches 1 before the last.
    """
    times = [1.0]
    for chance in chances:
        times.append(times[-1] * (1 - chance))
        if times[-1] == 0:
            break
    return times
