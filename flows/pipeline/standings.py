"""Who stands where: the measured candidates of a cell against its controls, at matched entropy."""

from collections.abc import Sequence

import numpy as np

from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.candidates.work import temperatures_of
from lsd_core.distillation.methods import METHODS, TEMPERATURE, get_method
from lsd_core.samplers import place_of
from lsd_core.statistics.promotion import Scored, Verdict, promote
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import get_task


def decide(store: Store, eligible: Sequence[CandidateSpec], everyone: Sequence[CandidateSpec]) -> Verdict:
    """A learned candidate that beats every control, or else the best eligible control.

    Candidates with one law share results, so each law is compared once. In which order they are given says nothing.
    """
    eligible, everyone = sorted(eligible, key=place), sorted(everyone, key=place)
    learned = [spec for spec in one_a_law(eligible) if get_method(spec.method).learned]
    families = {
        f"{spec.method} ({spec.sampler})": family(store, spec)
        for spec in one_a_law(everyone)
        if not get_method(spec.method).learned and spec.method != TEMPERATURE
    }
    keepers = [scored(store, spec) for spec in eligible if not get_method(spec.method).learned]
    candidates = [scored(store, spec) for spec in learned]
    return promote(candidates, families, keepers=keepers, teacher_entropy=_teacher_entropy(store, learned))


def place(spec: CandidateSpec) -> tuple[int, int, int]:
    """Where a candidate stands in a list: by budget, base sampler and method, as the catalogues have them."""
    methods = list(METHODS)
    method = methods.index(spec.method) if spec.method in METHODS else len(methods)
    return spec.nfe, place_of(spec.sampler), method


def one_a_law(specs: Sequence[CandidateSpec]) -> list[CandidateSpec]:
    """The specs, the first of each law: the others share its results."""
    laws: dict[str, CandidateSpec] = {}
    for spec in specs:
        laws.setdefault(spec.work.key, spec)
    return list(laws.values())


def family(store: Store, spec: CandidateSpec) -> list[Scored]:
    """A candidate at every temperature at which it was measured."""
    return [scored(store, spec, temperature) for temperature in temperatures_of(spec)]


def scored(store: Store, spec: CandidateSpec, temperature: float = 1.0) -> Scored:
    """What a candidate scored, sample by sample."""
    results, seeds = Results(store, spec), range(spec.evaluation.seeds)
    report = [results.read_measurement("report", which, temperature) for which in seeds]
    selection = report
    if temperature == 1:
        selection = [results.read_measurement("selection", which, temperature) for which in seeds]
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
    )


def _teacher_entropy(store: Store, learned: Sequence[CandidateSpec]) -> float | None:
    """Diversity of the teacher's own sequences, if anything learned from them."""
    if not learned:
        return None
    metrics = Results(store, learned[0]).read_teacher().metrics
    return metrics[get_task(learned[0].evaluation.task).diversity]
