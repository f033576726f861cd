"""Points of a study, read back from the store: one a variant and NFE, and one a teacher."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flows.pipeline.cell_work import table_seeds
from flows.pipeline.run import Run
from flows.report.table_rows import Row, row_of_teacher
from flows.study.plan import Entry, StudyPlan
from lsd_core.candidates.certify import certifiable, kinds_of
from lsd_core.candidates.make_card import metrics_of
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.candidates.work import table_index
from lsd_core.storage.sealed import read_sealed
from lsd_core.tasks.catalog import get_task

_NAMES = {"first_hitting": "exact", "data": "data"}


class Estimate(NamedTuple):
    """A Monte-Carlo mean in nats."""

    nats: float
    standard_error: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A variant at one NFE, or the sequences of a teacher: its row, and what an analysis reads besides."""

    row: Row
    scores: Float[np.ndarray, "s n"]
    """Primary metric of every sample at every seed; lower is better."""
    sequences: float = 0.0
    """What learning cost, sequences through the network, mean over seeds; of all NFEs where they were together."""
    teacher_sequences: int = 0
    """What its teacher's paths cost, made once for all that read them."""
    against: str | None = None
    budget: int | None = None
    gainless: bool = False
    """Whether every gain is 1."""
    certificates: Mapping[str, Estimate] = field(default_factory=dict)
    """By kind, mean over the tables."""

    @property
    def label(self) -> str:
        return self.row.label

    @property
    def nfe(self) -> int:
        return self.row.nfe

    @property
    def text(self) -> str:
        """`0.0230 (0.0221-0.0239)`."""
        low, high = self.row.interval
        return f"{self.row.mean:.4f} ({low:.4f}-{high:.4f})"


def read_points(run: Run, study: StudyPlan) -> list[Point]:
    """The points of all measured entries, in the order of the study; without those that failed."""
    return [
        _point(run, study, entry)
        for entry in study.entries
        if entry.measured and not any(run.failed(of.spec) for of in _sharing(study, entry))
    ]


def read_teachers(run: Run, study: StudyPlan) -> list[Point]:
    """One a teacher, of those that could be measured."""
    points = dict[str, Point]()
    for entry in study.entries:
        teacher = entry.spec.teacher
        if teacher is None or teacher.hash in points:
            continue
        spec, found = entry.spec, run.results(entry.spec).read_teacher()
        if found is None:
            continue
        row = row_of_teacher(spec.backbone.name, teacher.method, get_task(spec.evaluation.task), found)
        named = _NAMES.get(teacher.method, f"{teacher.method} {teacher.steps}")
        points[teacher.hash] = Point(row=replace(row, label=f"teacher {named}"), scores=found.scores[None])
    return list(points.values())


def _point(run: Run, study: StudyPlan, entry: Entry) -> Point:
    spec, results = entry.spec, run.results(entry.spec)
    seeds, task = range(spec.evaluation.seeds), get_task(spec.evaluation.task)
    measured = [results.read_measurement("report", which, 1.0) for which in seeds]
    tables = [results.read_learned(table_index(spec, which)) for which in seeds]
    certificates = _certificates(run, entry) if certifiable(spec) else {}
    bound = certificates.get("reverse")
    per_path = 0 if spec.teacher is None else calls_a_path(spec.teacher)
    row = Row(
        backbone=spec.backbone.name,
        nfe=spec.nfe,
        sampler=spec.sampler,
        method=spec.method,
        primary_metric=task.primary,
        diversity_metric=task.diversity,
        metrics=metrics_of(measured, task.primary),
        calls_mean=sum(result.calls_mean for result in measured) / len(measured),
        calls_max=max(result.calls_max for result in measured),
        certificate_value_nats=None if bound is None else bound.nats,
        certificate_standard_error=0.0 if bound is None else bound.standard_error,
        samplers=(spec.sampler,),
        label=entry.variant.label,
    )
    return Point(
        row=row,
        scores=np.stack([result.scores for result in measured]),
        sequences=_cost(run, study, entry),
        teacher_sequences=per_path * (spec.trajectories or 0),
        against=entry.variant.against,
        budget=entry.variant.budget,
        gainless=all(gain == 1 for table in tables for gain in table.table.gains),
        certificates=certificates,
    )


def _certificates(run: Run, entry: Entry) -> dict[str, Estimate]:
    """By kind the mean over the tables, whose estimates are independent."""
    which, results, found = table_seeds(entry.spec), run.results(entry.spec), dict[str, Estimate]()
    for kind in kinds_of(entry.spec):
        read = [read_sealed(run.store, results.certificate_key(w, kind)) for w in which]
        errors = [each["standard_error"] for each in read]
        mean = float(np.mean([each["value_nats"] for each in read]))
        found[kind] = Estimate(mean, float(np.sqrt(np.square(errors).sum()) / len(read)))
    return found


def _sharing(study: StudyPlan, entry: Entry) -> list[Entry]:
    """The entries whose learning is paid for together with this one's: itself, or all NFEs of its variant."""
    if not entry.variant.together:
        return [entry]
    return [other for other in study.entries if other.variant.label == entry.variant.label]


def _cost(run: Run, study: StudyPlan, entry: Entry) -> float:
    """Sequences that learning sent through the network, mean over seeds; a shared pass over the edges counts once."""
    costs = []
    for which in range(entry.spec.evaluation.seeds):
        tables = [
            run.results(of.spec).read_learned(table_index(of.spec, which)) for of in _sharing(study, entry)
        ]
        passes = [int(table.diagnostics.get("price_sequences", 0)) for table in tables]
        shared = max(passes) if entry.variant.together else sum(passes)
        costs.append(sum(table.sequences for table in tables) - sum(passes) + shared)
    return sum(costs) / len(costs)
