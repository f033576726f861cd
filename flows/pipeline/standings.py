"""The holder of an alias: measured candidates against the controls, at matched entropy."""

from collections.abc import Sequence

import numpy as np

from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.candidates.tested import read_tested, tested_at
from lsd_core.candidates.work import temperatures_of
from lsd_core.distillation.methods import BASELINE, METHODS, TEMPERATURE, get_method
from lsd_core.errors import InputError
from lsd_core.metrics.across import Across
from lsd_core.samplers import SAMPLERS, place_of
from lsd_core.samplers.catalog import chooses_by_draw
from lsd_core.statistics.guards import Guard
from lsd_core.statistics.promotion import Verdict, promote
from lsd_core.statistics.scored import Scored
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import get_task


def decide(store: Store, eligible: Sequence[CandidateSpec], everyone: Sequence[CandidateSpec]) -> Verdict:
    """A learned candidate that beats every control, or else the best eligible control.

    Candidates with equal kernels share results, so each kernel is compared once. Their order has no effect.
    """
    eligible, everyone = sorted(eligible, key=place), sorted(everyone, key=place)
    learned = [spec for spec in one_per_kernel(eligible) if get_method(spec.method).learned]
    controls = [spec for spec in one_per_kernel(everyone) if not get_method(spec.method).learned]
    plain = {spec.sampler: spec for spec in controls if spec.method == BASELINE}
    families = {f"{spec.method} ({spec.sampler})": family(store, spec) for spec in controls}
    for spec in controls:  # plain steps at other temperatures: what the temperature control was chosen from
        if spec.method == TEMPERATURE and spec.sampler in plain:
            families[f"{spec.method} ({spec.sampler})"] += family(store, plain[spec.sampler])
    keepers = [scored_as_shipped(store, spec) for spec in eligible if not get_method(spec.method).learned]
    return promote(
        [scored_as_shipped(store, spec) for spec in learned],
        families,
        guard=Guard(
            teacher=Results(store, learned[0]).read_teacher_across() if learned else None,
            baselines={sampler: across(store, spec) for sampler, spec in plain.items()} if learned else {},
        ),
        keepers=keepers,
        reference_entropy=least_entropy(keepers),
        teacher_entropy=_teacher_entropy(store, learned),
    )


def least_entropy(keepers: Sequence[Scored]) -> float | None:
    """The entropy that a control must have to keep an alias: the least of plain steps that choose positions before they
    draw; None where there are none. Choosing by the drawn tokens favours likely ones, so that it cools of itself."""
    plain = [point for point in keepers if point.method == BASELINE and point.temperature == 1]
    by_draw = {name for name, sampler in SAMPLERS.items() if chooses_by_draw(sampler)}
    return min((point.entropy for point in plain if point.sampler not in by_draw), default=None)


def place(spec: CandidateSpec) -> tuple[int, int, int]:
    """Where a candidate stands in a list: by budget, base sampler and method, as the catalogues have them."""
    methods = list(METHODS)
    method = methods.index(spec.method) if spec.method in METHODS else len(methods)
    return spec.nfe, place_of(spec.sampler), method


def one_per_kernel(specs: Sequence[CandidateSpec]) -> list[CandidateSpec]:
    """The specs, the first of each kernel: the others share its results."""
    kernels: dict[str, CandidateSpec] = {}
    for spec in specs:
        kernels.setdefault(spec.work.key, spec)
    return list(kernels.values())


def family(store: Store, spec: CandidateSpec) -> list[Scored]:
    """A candidate at every temperature at which it was measured: at 1 alone in stores of earlier versions."""
    points = [scored(store, spec, temperature) for temperature in temperatures_of(spec)]
    return [point for point in points if point is not None]


def scored_as_shipped(store: Store, spec: CandidateSpec) -> Scored:
    """What the table that ships scored, as it ships."""
    point = scored(store, spec)
    if point is None:
        raise InputError(f"measurements of {spec.label}", "be on the store", store.url, "run its grid again")
    return point


def scored(store: Store, spec: CandidateSpec, temperature: float = 1.0) -> Scored | None:
    """What the table that ships scored, sample by sample; None where it was not measured at the temperature."""
    results, seeds = Results(store, spec), range(spec.evaluation.seeds)
    report = read_tested(results, temperature)
    if not report:
        return None
    selection = report
    if temperature == 1:
        selection = [results.read_measurement("selection", which, 1.0) for which in seeds]
    diversity = get_task(spec.evaluation.task).diversity
    return Scored(
        method=spec.method,
        sampler=spec.sampler,
        nfe=spec.nfe,
        selection=np.stack([result.scores for result in selection]),
        report=np.stack([result.scores for result in report]),
        entropy=sum(result.metrics[diversity] for result in report) / len(report),
        temperature=temperature,
        key=spec.key,
        across=across(store, spec) if temperature == 1 and get_method(spec.method).learned else (),
    )


def across(store: Store, spec: CandidateSpec) -> tuple[Across, ...]:
    """Statistics across the samples of the table that ships; none unless every seed has them."""
    results = Results(store, spec)
    found = [results.read_across(each.part, each.which) for each in tested_at(results, 1.0)]
    return tuple(each for each in found if each is not None) if all(found) else ()


def _teacher_entropy(store: Store, learned: Sequence[CandidateSpec]) -> float | None:
    """Diversity of the teacher's own sequences, if anything learned from them."""
    found = Results(store, learned[0]).read_teacher() if learned else None
    return None if found is None else found.metrics[get_task(learned[0].evaluation.task).diversity]
