"""From results to a card: the median seed ships, every seed is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.spec import CODE_EPOCH, PARTS, CandidateSpec
from lsd_core.cards import Calls, Evaluation, Metric, Provenance, SamplerCard
from lsd_core.distillation.learned import Learned
from lsd_core.metrics.scores import Scores
from lsd_core.numerics.canonical import digest
from lsd_core.statistics.intervals import summarise
from lsd_core.statistics.promotion import median_seed
from lsd_core.tasks.catalog import get_task


def make_card(
    spec: CandidateSpec,
    tables: Sequence[Learned],
    measurements: Mapping[str, Sequence[Measurement]],
    certificate: dict[str, Any] | None,
    environment: Mapping[str, Any],
) -> SamplerCard:
    """The candidate's card.

    `tables` has one entry a seed (a control's are equal) and `measurements` one a part and seed. `environment` is the
    driver's record; accelerators that drew the samples take the place of its device.
    """
    task = get_task(spec.evaluation.task)
    seeds = range(spec.evaluation.seeds)
    shipped = shipped_seed(spec, measurements["selection"])
    report = measurements["report"]
    drawn_on = {result.device_kind for part in PARTS for result in measurements[part]} - {""}
    accelerator = {"device": "cuda", "device_kind": ", ".join(sorted(drawn_on))} if drawn_on else {}
    return SamplerCard(
        backbone=spec.backbone,
        process=dict(spec.process),
        sampler=spec.sampler,
        method=spec.method,
        nfe=spec.nfe,
        steps=tables[shipped].table.num_steps,
        calls=Calls(
            mean=sum(m.calls_mean for m in report) / len(report), max=max(m.calls_max for m in report)
        ),
        table=tables[shipped].table,
        teacher=None if spec.teacher is None else spec.teacher.to_dict(),
        teacher_hash=None if spec.teacher is None else spec.teacher.hash,
        method_config=dict(spec.method_config),
        seed=shipped,
        seeds=tuple(seeds),
        certificate=certificate,
        evaluation=Evaluation(
            judge=" + ".join([task.judge, *spec.evaluation.metrics]),
            samples=spec.evaluation.samples,
            primary=task.primary,
            diversity=task.diversity,
            conditions=None if spec.evaluation.conditions is None else dict(spec.evaluation.conditions),
            **{part: metrics_of(measurements[part], task.primary) for part in PARTS},
        ),
        learning=_learning(tables[shipped]),
        components=dict(spec.components),
        provenance=Provenance(
            config_hash=digest(spec.to_dict()),
            code_epoch=CODE_EPOCH,
            environment=dict(environment) | accelerator,
        ),
    )


def _learning(table: Learned) -> dict[str, int] | None:
    """What it took to learn the table, where a part of that was measured once for others too."""
    shared: Mapping[str, int] | None = table.diagnostics.get("shared_costs")
    return None if shared is None else {"sequences": table.sequences, "shared": sum(shared.values())}


def shipped_seed(spec: CandidateSpec, selection: Sequence[Measurement]) -> int:
    """The seed whose primary metric is the median on the selection samples."""
    primary = get_task(spec.evaluation.task).primary
    return median_seed({which: result.metrics[primary] for which, result in enumerate(selection)})


def metrics_of(measurements: Sequence[Measurement], primary: str) -> dict[str, Metric]:
    """Mean, 95% interval and value at each seed of every metric."""
    scores = [Scores(primary=result.scores, metrics=result.metrics) for result in measurements]
    return {
        name: Metric(mean=of["mean"], low=of["low"], high=of["high"], per_seed=tuple(of["per_seed"]))
        for name, of in summarise(scores, primary).items()
    }
