"""The rows of a run's table: one sampler each, and the teacher's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.pipeline.run import Run
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates import CandidateSpec
from lsd_core.cards import Metric
from lsd_core.statistics.promotion import Verdict
from lsd_core.tasks.catalog import get_task

TEACHER = "teacher"  # in the place of a method


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sampler, or the teacher, as it stands in the table."""

    backbone: str
    nfe: int
    sampler: str
    method: str
    primary: float
    low: float | None
    high: float | None
    entropy: float
    start_tv: float | None
    nll: float | None
    calls_mean: float
    calls_max: int
    certificate: float | None
    seed: int | None
    aliases: tuple[str, ...]
    uri: str


def row_of(run: Run, spec: CandidateSpec, verdicts: Mapping[str, Verdict]) -> Row:
    """The row of a candidate with a card."""
    card = run.cards[spec.key]
    report = card.evaluation.report
    bound = None if card.certificate is None else card.certificate.get("value_nats")
    return Row(
        backbone=spec.backbone.name,
        nfe=spec.nfe,
        sampler=spec.sampler,
        method=spec.method,
        primary=_mean(card.primary),
        low=card.primary.low,
        high=card.primary.high,
        entropy=_mean(card.diversity),
        start_tv=report["start_tv"].mean if "start_tv" in report else None,
        nll=report["nll"].mean if "nll" in report else None,
        calls_mean=card.calls.mean,
        calls_max=card.calls.max,
        certificate=bound,
        seed=card.seed,
        aliases=tuple(alias for alias, verdict in verdicts.items() if verdict.key == spec.key),
        uri=run.uris[spec.key],
    )


def teacher_row(run: Run, backbone: AnyBackbone) -> Row | None:
    """The teacher's own sequences, if any method of this run learned from them."""
    learners = [
        spec
        for spec in run.plan.candidates
        if spec.teacher is not None and spec.backbone.fingerprint == backbone.fingerprint
    ]
    if not learners or not run.store.exists(run.results(learners[0]).teacher_key):
        return None
    spec, result = learners[0], run.results(learners[0]).read_teacher()
    assert spec.teacher is not None
    task = get_task(spec.evaluation.task)
    return Row(
        backbone=backbone.name,
        nfe=result.calls_max,
        sampler=spec.teacher.method,
        method=TEACHER,
        primary=result.metrics[task.primary],
        low=None,
        high=None,
        entropy=result.metrics[task.diversity],
        start_tv=result.metrics.get("start_tv"),
        nll=result.metrics.get("nll"),
        calls_mean=result.calls_mean,
        calls_max=result.calls_max,
        certificate=None,
        seed=None,
        aliases=(),
        uri="",
    )


def merged(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    """Rows in the order of the table, each with those that only differ in the name of the base sampler."""
    merged: dict[tuple[object, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.method == TEACHER, row.nfe, row.primary)):
        same = (row.nfe, row.method, row.primary, row.entropy, row.nll, row.low)
        merged.setdefault(same, []).append(row)
    return [(twins[0], twins[1:]) for twins in merged.values()]


def _mean(metric: Metric) -> float:
    return float("nan") if metric.mean is None else metric.mean
