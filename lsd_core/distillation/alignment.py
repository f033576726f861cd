"""What LSD and LSD+ share: their order of work, and the student's chains."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.alignment_config import AlignmentConfig
from lsd_core.distillation.coupling import Common, Coupling, CouplingName, Independent, clocks, perturbed
from lsd_core.distillation.learned import Problem
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.teacher_paths import TeacherPaths
from lsd_core.processes import LogLinear
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable


def base_method(problem: Problem, config: AlignmentConfig) -> Euler:
    """The problem's base sampler, if these methods know how to learn it."""
    method = get_sampler(problem.sampler, problem.absorbing.process)
    config.check_sampler(method)
    assert isinstance(method, Euler)
    return method


def check_noise(problem: Problem, coupling: CouplingName) -> None:
    """Reveal times are stored for log-linear noise; only there do they mean the same to the student."""
    noise = problem.absorbing.process.noise
    if coupling == "common" and not isinstance(noise, LogLinear):
        raise InputError("coupling", "be independent unless noise is log-linear", coupling)


def updates(num_paths: int, epoch: int, config: AlignmentConfig) -> Iterator[Int[Tensor, " r"]]:
    """The rows of each update of an epoch: the paths are walked round and round, so many an epoch."""
    wanted = min(config.paths_per_epoch, num_paths)
    rows = (epoch * wanted + torch.arange(wanted)) % num_paths
    yield from rows.split(config.paths_per_update)


def reveal_chances(method: Euler, backbone: Backbone, table: StepTable) -> list[float]:
    """The chance of a reveal at each step of a table of times, a gain on the score included."""
    steps = steps_of(table, backbone.length)
    gains = table.gains if table.gain_on == "score" else (1.0,) * table.num_steps
    chances = [gain * method.chance(backbone, step) for gain, step in zip(gains, steps, strict=True)]
    return [*(min(1.0, chance) for chance in chances[:-1]), 1.0]


def begin(
    problem: Problem,
    paths: TeacherPaths,
    rows: Int[Tensor, " r"],
    epoch: int,
    config: AlignmentConfig,
    table: StepTable,
) -> tuple[State, Coupling]:
    """The student's chains at their relaxed start, one for each path, and their coupling on this table.

    The uniforms of an epoch are its own, except those that are the teacher's under the common coupling.
    """
    process, index = problem.absorbing.process, paths.index[rows]
    own = Draws(derive_seed(problem.seed, "student", epoch), index)
    state = start(problem.absorbing, len(rows), index.device)
    x = perturbed(state.x, process, config.zeta, derive_seed(problem.seed, "zeta", epoch), index)
    coupling: Coupling = Independent(own)
    if config.coupling == "common":
        shared = problem.teacher_seed
        tokens = own if shared is None else Draws(shared, index)
        clock: tuple[float, ...] = ()
        if table.times is not None:
            method = base_method(problem, config)
            clock = clocks(table.times, reveal_chances(method, problem.absorbing, table))
        coupling = Common(paths.reveal_time[rows], paths.rank[rows], clock, own, tokens)
    return state.moved(x, problem.absorbing), coupling


def token_noise(problem: Problem, coupling: CouplingName) -> str:
    """Whose token uniforms the student used."""
    common = coupling == "common" and problem.teacher_seed is not None
    return "the teacher's" if common else "its own"


def masked_laws(
    backbone: Backbone, features: Tensor, row: tuple[Tensor, Tensor], masked: Bool[Tensor, "b l"]
) -> tuple[Float[Tensor, "r v"], Float[Tensor, " s"]]:
    """Log x0 laws in float64 at chosen (sample, position), and the logs of their row sums before normalising.

    A revealed position has a row of zeros, so of -inf here, and no row sum.
    """
    at = masked[row]
    log_weight = head_rows(backbone, features[row[0][at], row[1][at]]).double()
    sums = log_weight.logsumexp(-1)
    if bool(at.all()):
        return log_weight - sums[:, None], sums
    laws = log_weight.new_full((len(at), backbone.process.num_tokens), -torch.inf)
    return laws.index_copy(0, at.nonzero()[:, 0], log_weight - sums[:, None]), sums


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


class Alignment:
    """Running sums over an epoch: what least squares would choose, and how far rows stray from laws."""

    def __init__(self, num_steps: int) -> None:
        self.across = torch.zeros(num_steps, dtype=torch.float64)
        self.own = torch.zeros(num_steps, dtype=torch.float64)
        self.largest, self.total, self.count = 0.0, 0.0, 0

    def add(
        self, k: int, target: Float[Tensor, "r v"], student: Float[Tensor, "r v"], sums: Float[Tensor, " s"]
    ) -> None:
        """Count rows of step k: both sides' rates before any gain, and the logs of the student's row sums."""
        self.across[k] += (target * student).sum()
        self.own[k] += student.square().sum()
        if len(sums):
            self.largest = max(self.largest, float(sums.detach().abs().max()))
            self.total += float(sums.detach().exp().sum())
            self.count += len(sums)

    def gains(self) -> list[float | None]:
        """argmin over phi of sum |p* - phi p|^2 at each step; None where nothing was compared."""
        pairs = zip(self.across.tolist(), self.own.tolist(), strict=True)
        return [across / own if own > 0 else None for across, own in pairs]

    def row_sums(self) -> dict[str, float | None]:
        """Mean of the student's row sums before normalising, and the largest |log| of one."""
        return {"mean": self.total / self.count if self.count else None, "max_abs_log": self.largest}
