"""Row: one sampler, or the teacher's own sequences, as every table, chart, page and CSV file shows it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flows.grouping import grouped
from lsd_core.candidates.make_card import metrics_of
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.one_by_one import OneByOne
from lsd_core.cards import Metric, SamplerCard
from lsd_core.distillation.methods import METHODS
from lsd_core.numerics.number_text import ERRORS, at_most_text
from lsd_core.paths.order_gap import OrderGap
from lsd_core.samplers import place_of
from lsd_core.samplers.table import StepTable
from lsd_core.tasks.catalog import Task

TEACHER, ONE_BY_ONE = "teacher", "one_by_one"  # in the place of a method
REFERENCES = (TEACHER, ONE_BY_ONE)  # no candidates: what these are held against
UNKNOWN = Metric(mean=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """What is shown of a sampler. Names are those of the card's fields and of the registry's tags."""

    backbone: str
    nfe: int
    sampler: str
    method: str
    primary_metric: str
    diversity_metric: str
    metrics: Mapping[str, Metric]
    """On the report seeds, by name."""
    calls_mean: float = math.nan
    calls_max: int = 0
    certificate_value_nats: float | None = None
    """The estimate; a Monte-Carlo mean, so that what it proves is `certificate_at_most_nats`."""
    certificate_standard_error: float = 0.0
    certificate_paths: int = 0
    certificate_reference: str = ""
    """The distribution that the certificate compares with."""
    step_table: StepTable | None = None
    steps_in: str = ""
    """`times` or `counts`; empty for what steps through no table, and for versions registered before it was a tag."""
    method_config: Mapping[str, Any] = field(default_factory=dict)
    work: str = ""
    """Key of the work behind it: equal for base samplers with equal step kernels, whose results are shared."""
    samplers: tuple[str, ...] = ()
    """The base samplers that share the results."""
    label: str = ""
    """The method, with what distinguishes it from others of its name."""
    seed: int | None = None
    aliases: tuple[str, ...] = ()
    uri: str = ""
    order_gap: OrderGap | None = None
    """Of a one-by-one row: how far the order's own distribution is from the uniform order's."""

    @property
    def candidates(self) -> list[str]:
        """Its names in comparisons, one for each base sampler that shares its results."""
        return [f"{self.method} ({sampler}, nfe {self.nfe})" for sampler in self.samplers]

    @property
    def primary(self) -> Metric:
        return self.metrics.get(self.primary_metric, UNKNOWN)

    @property
    def mean(self) -> float:
        """The primary metric; NaN where it is not finite."""
        return math.nan if self.primary.mean is None else self.primary.mean

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the primary metric; the mean twice where there is none."""
        low, high = self.primary.low, self.primary.high
        return (self.mean, self.mean) if low is None or high is None else (low, high)

    @property
    def entropy(self) -> float:
        """The diversity metric in nats; NaN where it is not finite."""
        found = self.metrics.get(self.diversity_metric, UNKNOWN).mean
        return math.nan if found is None else found

    @property
    def certificate_at_most_nats(self) -> float | None:
        """The certificate with two standard errors: what it proves."""
        value = self.certificate_value_nats
        return None if value is None else value + ERRORS * self.certificate_standard_error

    @property
    def certificate_proves(self) -> str:
        """The same in words; empty where there is no certificate."""
        value, error = self.certificate_value_nats, self.certificate_standard_error
        return "" if value is None else at_most_text(value, error, self.certificate_paths)

    @property
    def learned(self) -> bool:
        return self.method in METHODS and METHODS[self.method].learned

    @property
    def version(self) -> str:
        """Its number in the registry."""
        return self.uri.rpartition("/")[2]


def row_of_card(card: SamplerCard, **others: Any) -> Row:
    """The row of a candidate with a card; `others` are what a card does not know: aliases, uri, work."""
    certificate = card.certificate or {}
    return Row(
        backbone=card.backbone.name,
        nfe=card.nfe,
        sampler=card.sampler,
        method=card.method,
        primary_metric=card.evaluation.primary,
        diversity_metric=card.evaluation.diversity,
        metrics=card.evaluation.report,
        calls_mean=card.calls.mean,
        calls_max=card.calls.max,
        certificate_value_nats=certificate.get("value_nats"),
        certificate_standard_error=certificate.get("standard_error") or 0.0,
        certificate_paths=certificate.get("num_paths") or 0,
        certificate_reference=str(certificate.get("reference") or ""),
        step_table=card.table,
        steps_in=card.table.steps_in,
        method_config=card.method_config,
        seed=card.seed,
        **{"samplers": (card.sampler,)} | others,
    )


def row_of_version(version: Mapping[str, Any]) -> Row:
    """The row of a version as `registry.list_versions` gives it, from its tags alone."""
    certificate = version["certificate"]
    value = certificate.get("value_nats")
    names = version["primary_metric"] or "primary", version.get("diversity_metric") or "entropy"
    return Row(
        backbone=version["backbone"],
        nfe=version["nfe"],
        sampler=version["sampler"],
        method=version["method"],
        primary_metric=names[0],
        diversity_metric=names[1],
        metrics=dict(
            zip(names, (Metric(mean=version[each]) for each in ("primary", "entropy")), strict=True)
        ),
        certificate_value_nats=None if value is None else float(value),
        certificate_standard_error=float(certificate.get("standard_error") or 0.0),
        certificate_paths=int(certificate.get("num_paths") or 0),
        certificate_reference=certificate.get("reference") or "",
        steps_in=version.get("steps_in") or "",
        seed=version.get("seed"),
        aliases=tuple(version["aliases"]),
        uri=version["uri"],
    )


def row_of_teacher(backbone: str, method: str, task: Task, result: Measurement) -> Row:
    """The row of what a teacher's own sequences scored."""
    return Row(
        backbone=backbone,
        nfe=result.calls_max,
        sampler=method,
        method=TEACHER,
        primary_metric=task.primary,
        diversity_metric=task.diversity,
        metrics={name: Metric(mean=value) for name, value in result.metrics.items()},
        calls_mean=result.calls_mean,
        calls_max=result.calls_max,
        samplers=(method,),
        label=f"{TEACHER}, {result.calls_max} calls",
    )


def row_of_one_by_one(backbone: str, task: Task, result: OneByOne) -> Row:
    """The row of one token a call along an order."""
    calls = result.measurement.calls_max
    return Row(
        backbone=backbone,
        nfe=calls,
        sampler=result.order,
        method=ONE_BY_ONE,
        primary_metric=task.primary,
        diversity_metric=task.diversity,
        metrics=metrics_of([result.measurement], task.primary),
        calls_mean=result.measurement.calls_mean,
        calls_max=calls,
        steps_in="counts",
        samplers=(result.order,),
        label=f"one by one, {result.order}",
        order_gap=result.gap,
    )


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Rows with equal step kernels as one, by budget and then best first, references last; each with its label."""
    shared = grouped(
        sorted(rows, key=lambda row: place_of(row.sampler)),
        lambda row: (*_name(row), row.work) if row.work else id(row),
    )
    merged = [
        replace(
            same[0],
            samplers=tuple(row.sampler for row in same),
            aliases=tuple(alias for row in same for alias in row.aliases),
        )
        for same in shared.values()
    ]
    merged.sort(
        key=lambda row: (row.method in REFERENCES, row.nfe, math.inf if math.isnan(row.mean) else row.mean)
    )
    alike = grouped(merged, _name)
    return [replace(row, label=row.label or _label(row, alike[_name(row)])) for row in merged]


def _name(row: Row) -> tuple[str, int, str]:
    return row.backbone, row.nfe, row.method


def _label(row: Row, same: Sequence[Row]) -> str:
    """The method's name; where several rows share it at one budget, with what tells them apart."""
    parts = [row.method]
    if len({other.sampler for other in same}) > 1:
        parts.append(row.sampler)
    parts += [
        f"{name} {value}"
        for name, value in row.method_config.items()
        if any(other.method_config.get(name) != value for other in same)
    ]
    twins = [o for o in same if (o.sampler, o.method_config) == (row.sampler, row.method_config)]
    return ", ".join(parts) + (f" {row.work[:6]}" if len(twins) > 1 else "")
