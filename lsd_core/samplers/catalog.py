"""The base samplers by name, which of them share a kernel, and the steps that a budget pays for."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lsd_core.errors import InputError
from lsd_core.plugins import Registry, instance_of
from lsd_core.processes import Absorbing, LogLinear, Process
from lsd_core.samplers.compatibility import COMPATIBILITY
from lsd_core.samplers.confidence_drawn import ConfidenceDrawn
from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.orders import ORDERS, Order
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.protocol import Sampler, in_counts_only, names_of
from lsd_core.samplers.table import StepTable


class BaseSamplers(Registry[Sampler]):
    """The base samplers of all distributions; an order without one is unmasked by fixed counts, under its name."""

    def _orders(self) -> list[str]:
        return [
            name for name in ORDERS if name != "uniform" and not super(BaseSamplers, self).__contains__(name)
        ]

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from self._orders()

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._orders()

    def __getitem__(self, name: str) -> Sampler:
        if name not in self._made and name in self._orders():
            self._made[name] = _in_order(ORDERS[name])
        return super().__getitem__(name)

    def recorded(self, *names: str) -> dict[str, tuple[str, int]]:
        orders = [name for name in names if name in self._orders()]
        return super().recorded(*(name for name in names if name not in orders)) | ORDERS.recorded(*orders)


def _in_order(order: Order) -> Sampler:
    sampler: Sampler = type(type(order).__name__, (FixedCounts,), {"name": order.name, "order": order})()
    return sampler


SAMPLERS = BaseSamplers("lsd.samplers", instance_of(Sampler))  # type: ignore[type-abstract]


def get_sampler(name: str, process: Process) -> Sampler:
    """The base sampler of that name; the compatibility modes have their names, but are not offered."""
    known: Mapping[str, Sampler] | BaseSamplers = COMPATIBILITY if name in COMPATIBILITY else SAMPLERS
    if name not in known or process.kind not in known[name].processes:
        where = "" if isinstance(process, Absorbing) else f" on the {process.kind} process"
        raise InputError("sampler", f"be one of {sampler_names(process)}{where}", name)
    return known[name]


def factorised(sampler: Sampler) -> OneCall:
    """The sampler, if a step of it draws every token from one network call; else InputError."""
    if sampler.factorised and isinstance(sampler, OneCall):
        return sampler
    known = names_of(each for each in SAMPLERS.values() if each.factorised)
    raise InputError("sampler", f"look at the network once a step, as {known} do", sampler.name)


def chooses_by_state(sampler: Sampler) -> bool:
    """Whether a step chooses its positions by the network's prediction, before it draws a token.

    A sampler that is given by its kernel does: a kernel chooses first.
    """
    return sampler.adaptive and isinstance(sampler, OneCall)


def chooses_by_draw(sampler: Sampler) -> bool:
    """Whether a step draws every token before it chooses, by what it drew, which of them to keep: likely ones."""
    return isinstance(sampler, ConfidenceDrawn)


def certifiable(sampler: Sampler) -> bool:
    """Whether the reverse certificate holds for it."""
    return sampler.factorised or chooses_by_state(sampler) or chooses_by_draw(sampler)


def sampler_names(process: Process) -> list[str]:
    """The base samplers offered for a process."""
    return sorted(name for name, sampler in SAMPLERS.items() if process.kind in sampler.processes)


def calls_per_step(name: str, process: Process) -> int:
    """Network calls of one step; an unknown name raises InputError that lists those of the process."""
    return get_sampler(name, process).calls_per_step


def steps_in_counts(name: str) -> bool:
    """Whether a base sampler needs a grid of mask counts, and has no steps in time."""
    return name in SAMPLERS and in_counts_only(SAMPLERS[name])


def in_order_of(name: str, table: StepTable) -> StepTable:
    """A table of counts of a control: where the base sampler takes its order from the table, Halton's, unshifted."""
    if table.counts is None or name not in SAMPLERS or not SAMPLERS[name].order.learned:
        return table
    return replace(table, order=halton_positions(table.counts[0]))


def place_of(name: str) -> int:
    """Where a base sampler stands in the catalogue, in which plain Euler steps come first."""
    names = list(SAMPLERS)
    return names.index(name) if name in names else len(names)


def kernel_key(name: str, process: Process) -> str:
    """The name under which equal kernels are computed once: on log-linear absorbing, Tweedie is Euler."""
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
