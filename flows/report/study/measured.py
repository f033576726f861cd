"""What a study measured, read back from the store: one point a variant and NFE, and the teachers."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from flows.pipeline.cell_work import table_seeds
from flows.pipeline.run import Run
from flows.study.plan import Entry, StudyPlan
from lsd_core.candidates.certify import KINDS, certifiable
from lsd_core.candidates.make_card import metrics_of
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.candidates.work import table_index
from lsd_core.tasks.catalog import get_task

_NAMES = {"first_hitting": "exact", "data": "data"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """A variant at one NFE, measured."""

    label: str
    nfe: int
    scores: Float[np.ndarray, "s n"]
    """Primary metric of every sample at every seed; lower is better."""
    low: float
    high: float
    """95% interval of the mean: over seeds from three on, else over samples."""
    entropy: float = float("nan")
    """Unigram entropy in nats."""
    start_tv: float | None = None
    calls: float = 0.0
    """Network calls a sample really took."""
    sequences: float = 0.0
    """What learning cost, sequences through the network, mean over seeds; of all NFEs where they were together."""
    teacher_sequences: int = 0
    """What its teacher's paths cost, made once for all that read them."""
    against: str | None = None
    budget: int | None = None
    gainless: bool = False
    """Whether every gain is 1."""
    certificates: dict[str, float] = field(default_factory=dict)
    """In nats by kind, mean over the tables."""

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def text(self) -> str:
        """`0.0230 (0.0221-0.0239)`."""
        return f"{self.mean:.4f} ({self.low:.4f}-{self.high:.4f})"


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherPoint:
    """What a teacher's own sequences scored."""

    label: str
    method: str
    calls: int
    scores: Float[np.ndarray, "1 n"]
    entropy: float

    @property
    def mean(self) -> float:
        return float(self.scores.mean())


def read_points(run: Run, study: StudyPlan) -> list[Point]:
    """The points of all measured entries, in the order of the study; without those that failed."""
    return [
        _point(run, study, entry)
        for entry in study.entries
        if entry.measured and not any(run.failed(of.spec) for of in _sharing(study, entry))
    ]


def read_teachers(run: Run, study: StudyPlan) -> list[TeacherPoint]:
    """One a teacher, of those that could be measured."""
    points = dict[str, TeacherPoint]()
    for entry in study.entries:
        teacher = entry.spec.teacher
        if teacher is None or teacher.hash in points:
            continue
        if not run.store.exists(run.results(entry.spec).teacher_key):
            continue
        measured = run.results(entry.spec).read_teacher()
        points[teacher.hash] = TeacherPoint(
            label=_NAMES.get(teacher.method, f"{teacher.method} {teacher.steps}"),
            method=teacher.method,
            calls=measured.calls_max,
            scores=measured.scores[None],
            entropy=measured.metrics[get_task(entry.spec.evaluation.task).diversity],
        )
    return list(points.values())


def _point(run: Run, study: StudyPlan, entry: Entry) -> Point:
    spec, results = entry.spec, run.results(entry.spec)
    seeds, task = range(spec.evaluation.seeds), get_task(spec.evaluation.task)
    measured = [results.read_measurement("report", which, 1.0) for which in seeds]
    metrics = metrics_of(measured, task.primary)
    primary, start_tv = metrics[task.primary], metrics.get("start_tv")
    tables = [results.read_learned(table_index(spec, which)) for which in seeds]
    certificates = {
        kind: float(
            np.mean([run.store.read_json(results.certificate_key(w, kind))["value_nats"] for w in which])
        )
        for which in [table_seeds(spec)]
        for kind in KINDS
        if certifiable(spec)
    }
    per_path = 0 if spec.teacher is None else calls_a_path(spec.teacher)
    return Point(
        label=entry.variant.label,
        nfe=spec.nfe,
        scores=np.stack([result.scores for result in measured]),
        low=_number(primary.low),
        high=_number(primary.high),
        entropy=_number(metrics[task.diversity].mean),
        start_tv=None if start_tv is None else start_tv.mean,
        calls=sum(result.calls_mean for result in measured) / len(measured),
        sequences=_cost(run, study, entry),
        teacher_sequences=per_path * (spec.trajectories or 0),
        against=entry.variant.against,
        budget=entry.variant.budget,
        gainless=all(gain == 1 for table in tables for gain in table.table.gains),
        certificates=certificates,
    )


def _sharing(study: StudyPlan, entry: Entry) -> list[Entry]:
    """The entries whose learning is paid for together with this one's: itself, or all NFEs of its variant."""
    if not entry.variant.together:
        return [entry]
    return [other for other in study.entries if other.variant.label == entry.variant.label]


def _cost(run: Run, study: StudyPlan, entry: Entry) -> float:
    """Sequences that learning sent through the network, mean over seeds; a shared pricing pass counts once."""
    costs = []
    for which in range(entry.spec.evaluation.seeds):
        tables = [
            run.results(of.spec).read_learned(table_index(of.spec, which)) for of in _sharing(study, entry)
        ]
        passes = [int(table.diagnostics.get("price_sequences", 0)) for table in tables]
        shared = max(passes) if entry.variant.together else sum(passes)
        costs.append(sum(table.sequences for table in tables) - sum(passes) + shared)
    return sum(costs) / len(costs)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
