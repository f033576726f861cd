"""The base samplers by name, and which of them share a law."""

from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, LogLinear, Process
from lsd_core.samplers.balanced_split import BalancedSplit
from lsd_core.samplers.compatibility import COMPATIBILITY
from lsd_core.samplers.dense.steps import DENSE_SAMPLERS, get_dense
from lsd_core.samplers.euler import Euler, Tweedie
from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.halton import Halton
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.tau_leaping import TauLeaping, TauLeapingCorrected
from lsd_core.samplers.theta_rk2 import ThetaRK2
from lsd_core.samplers.theta_trapezoidal import ThetaTrapezoidal

_ALL: tuple[Sampler, ...] = (
    Euler(),
    Tweedie(),
    FixedCounts(),
    Halton(),
    TauLeaping(),
    TauLeapingCorrected(),
    ThetaRK2(),
    ThetaTrapezoidal(),
    BalancedSplit(),
)
SAMPLERS: dict[str, Sampler] = {sampler.name: sampler for sampler in _ALL}


def get_sampler(name: str, process: Absorbing) -> Sampler:
    """The base sampler of that name; the compatibility modes answer to their names, but are not offered."""
    if name in COMPATIBILITY:
        return COMPATIBILITY[name]
    if name not in SAMPLERS:
        raise InputError("sampler", f"be one of {sorted(SAMPLERS)}", name)
    return SAMPLERS[name]


def sampler_names(process: Process) -> list[str]:
    """The base samplers offered for a process."""
    return sorted(SAMPLERS if isinstance(process, Absorbing) else DENSE_SAMPLERS)


def calls_per_step(name: str, process: Process) -> int:
    """Network calls of one step; an unknown name raises InputError that lists those of the process."""
    if isinstance(process, Absorbing):
        return get_sampler(name, process).calls_per_step
    return get_dense(name, process).calls_per_step


def steps_in_counts(name: str) -> bool:
    """Whether a base sampler needs a grid of mask counts, and has no steps in time."""
    return isinstance(SAMPLERS.get(name), FixedCounts)


def place_of(name: str) -> int:
    """Where a base sampler stands in the catalogue, in which plain Euler steps come first."""
    names = [*SAMPLERS, *DENSE_SAMPLERS]
    return names.index(name) if name in names else len(names)


def law_key(name: str, process: Process) -> str:
    """The name under which equal laws are computed once: on log-linear absorbing, Tweedie is Euler."""
    if name == "tweedie" and isinstance(process, Absorbing) and isinstance(process.noise, LogLinear):
        return "euler"
    return name


def num_steps(name: str, nfe: int, process: Process) -> int:
    """Steps that a budget of `nfe` network calls pays for; methods with two calls a step get half.

    Where there is no mask the last step of a table is the final denoise, which is one call whatever the method.
    """
    if isinstance(nfe, bool) or not isinstance(nfe, int) or nfe < 1:
        raise InputError("nfe", "be an integer >= 1", nfe, "give a number of network calls, such as 8")
    calls = calls_per_step(name, process)
    if not isinstance(process, Absorbing):
        return 1 + (nfe - 1) // calls
    if nfe < calls:
        raise InputError("nfe", f"be at least {calls}, the calls of one {name} step", nfe)
    return nfe // calls
