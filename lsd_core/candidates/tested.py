"""The samples that promotion tests, those of the table that ships, and which of them a store still lacks.

A learned candidate has a table for each learning seed. The one that is the median on the selection seeds ships; that
one table is measured on every report seed, and these samples are what promotion compares. Where a report seed belongs
to that table its measurement is used; where the candidate has one table for all seeds, all of them are.
"""

from collections.abc import Collection
from dataclasses import dataclass

from lsd_core.candidates.make_card import shipped_seed
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.results import Results
from lsd_core.candidates.spec import SHIPPED
from lsd_core.candidates.work import table_index, temperatures_of
from lsd_core.distillation.methods import BASELINE, get_method
from lsd_core.errors import MissingFileError


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One measurement that promotion reads."""

    part: str
    """`report`, or `shipped` where the report seed's own table is another."""
    which: int
    """The sampling seed."""
    temperature: float = 1.0


def shipped_run(results: Results) -> int:
    """The learning run whose table ships."""
    spec = results.spec
    if not get_method(spec.method).needs_paths:
        return 0
    seeds = range(spec.evaluation.seeds)
    selection = [results.read_measurement("selection", which, 1.0) for which in seeds]
    return table_index(spec, shipped_seed(spec, selection))


def tested_at(results: Results, temperature: float) -> list[Tested]:
    """The measurements of the table that ships at a temperature, one a sampling seed."""
    spec = results.spec
    shipped = shipped_run(results)
    return [
        Tested(
            part="report" if table_index(spec, which) == shipped else SHIPPED,
            which=which,
            temperature=temperature,
        )
        for which in range(spec.evaluation.seeds)
    ]


def read_tested(results: Results, temperature: float) -> list[Measurement]:
    """The measurements of the table that ships, one a sampling seed; none where it was not measured so hot or cold.

    A store of an earlier version has those of each learning seed's own table in their place.
    """
    quoted = [
        Tested(part="report", which=which, temperature=temperature)
        for which in range(results.spec.evaluation.seeds)
    ]
    for several in (tested_at(results, temperature), quoted):
        try:
            return [results.read_measurement(each.part, each.which, temperature) for each in several]
        except MissingFileError:
            continue
    return []


def all_tested(results: Results) -> list[Tested]:
    """Those at every temperature at which the candidate is compared."""
    return [each for temperature in temperatures_of(results.spec) for each in tested_at(results, temperature)]


def guarded(results: Results) -> bool:
    """Whether promotion looks across its samples: those of what is learned, and of plain steps."""
    return results.spec.method == BASELINE or get_method(results.spec.method).learned


def measured_key(results: Results, each: Tested) -> str:
    """The file by which it counts: where it is there, promotion has what it needs."""
    if guarded(results) and each.temperature == 1:
        return results.across_key(each.part, each.which)
    return results.measurement_key(each.part, each.which, each.temperature)


def lacking(results: Results, present: Collection[str]) -> list[Tested]:
    """What is not among the files present."""
    return [each for each in all_tested(results) if measured_key(results, each) not in present]
