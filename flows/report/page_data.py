"""Data of a backbone's page: its measured samplers, read back from the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from flows.grouping import grouped
from flows.pipeline.champions import champions_key, read_champions
from flows.pipeline.standings import decide
from flows.pipeline.timing import Took
from flows.report.table_rows import Row, distinct, row_of_card, row_of_one_by_one, row_of_teacher
from lsd_core.candidates import CandidateSpec, EvaluationSpec
from lsd_core.candidates.make_card import metrics_of
from lsd_core.candidates.one_by_one import orders_among, read_one_by_one
from lsd_core.candidates.reading import read_card
from lsd_core.candidates.results import Results
from lsd_core.candidates.tested import read_tested
from lsd_core.candidates.work import table_index, temperatures_of
from lsd_core.cards import SamplerCard
from lsd_core.distillation.learned import Learned
from lsd_core.distillation.methods import BASELINE, TEMPERATURE
from lsd_core.samplers import place_of
from lsd_core.statistics.intervals import FEWEST_SEEDS
from lsd_core.statistics.promotion import Verdict
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import Task, get_task

ENOUGH_SAMPLES = 1024  # a seed, below which nothing should be claimed


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A row of the page with the files behind it."""

    row: Row
    spec: CandidateSpec
    card: SamplerCard
    tables: tuple[Learned, ...]
    """One a seed."""
    sweep: tuple[Row, ...] = ()
    """The same at every temperature at which it was measured, the coldest first; none where that is 1 alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PageData:
    """Everything that the page shows of one backbone."""

    backbone: str
    store: Store
    task: Task
    entries: tuple[Entry, ...]
    """By budget, then best first."""
    verdicts: Mapping[str, Verdict]
    """Who holds `nfe<N>`, and why."""
    teacher: Row | None
    one_by_one: tuple[Row, ...] = ()
    """One token a call along each order, where that was measured."""
    teacher_name: str = ""
    teacher_tokens: Sequence[Sequence[int]] = ()
    """The first of the teacher's own sequences."""
    sizes: str = ""
    """Said where sizes are too small for claims."""
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, Took] = field(default_factory=dict)
    """What candidates took on the clock, by key of their work, where this machine knows it."""
    left_out: int = 0
    """Samplers on the store that were measured otherwise, so that they cannot be compared."""

    @cached_property
    def rows(self) -> list[Row]:
        return [entry.row for entry in self.entries]

    @property
    def drawn(self) -> list[Row]:
        """The rows, the teacher's if there is one, and those of one token a call."""
        return [*self.rows, *([self.teacher] if self.teacher else []), *self.one_by_one]

    @cached_property
    def by_budget(self) -> Mapping[int, list[Entry]]:
        """The entries of each budget, best first."""
        return dict(sorted(grouped(self.entries, lambda entry: entry.spec.nfe).items()))

    @property
    def budgets(self) -> list[int]:
        return list(self.by_budget)

    def at(self, nfe: int) -> list[Entry]:
        """The entries of one budget, best first."""
        return self.by_budget.get(nfe, [])

    def baseline(self, nfe: int) -> Entry | None:
        """Plain steps at this budget, of the first of the catalogue's base samplers that was measured."""
        plain = [entry for entry in self.at(nfe) if entry.spec.method == BASELINE]
        return min(plain, key=lambda entry: place_of(entry.spec.sampler), default=None)

    def champion(self, nfe: int) -> Entry | None:
        """Who holds `nfe<N>`."""
        return next((entry for entry in self.at(nfe) if f"nfe{nfe}" in entry.row.aliases), None)

    def results(self, entry: Entry) -> Results:
        return Results(self.store, entry.spec)


def make_page_data(
    store: Store,
    specs: Sequence[CandidateSpec],
    *,
    verdicts: Mapping[str, Verdict] | None = None,
    sizes: str = "",
    failures: Mapping[str, str] | None = None,
    seconds: Mapping[str, Took] | None = None,
    left_out: int = 0,
) -> PageData:
    """What the page shows of candidates of one backbone that have cards and were measured alike."""
    cards = {spec.key: _read_card(store, spec) for spec in specs}
    failures = dict(failures or {})
    for spec in [spec for spec in specs if cards[spec.key].primary.mean is None]:
        failures[spec.label] = f"its {cards[spec.key].evaluation.primary} is not a finite number"
    specs = [spec for spec in specs if cards[spec.key].primary.mean is not None]
    first = specs[0]
    champions = _champions(store, first, cards)
    of_row = {(spec.work.key, spec.sampler): spec for spec in specs}
    rows = distinct(
        [
            row_of_card(cards[spec.key], aliases=champions.get(spec.key, ()), work=spec.work.key)
            for spec in specs
        ]
    )
    entries = [_entry(store, row, of_row[row.work, row.sampler], cards) for row in rows]
    return PageData(
        backbone=first.backbone.name,
        store=store,
        task=get_task(first.evaluation.task),
        entries=tuple(entries),
        verdicts=_verdicts(store, specs) if verdicts is None else verdicts,
        sizes=sizes or _too_few(first.evaluation),
        failures=failures,
        seconds=seconds or {},
        left_out=left_out,
        one_by_one=tuple(one_by_one_rows(store, specs)),
        **_teacher(store, [entry.spec for entry in entries]),
    )


def _entry(store: Store, row: Row, spec: CandidateSpec, cards: Mapping[str, SamplerCard]) -> Entry:
    """A row with its files."""
    results, seeds = Results(store, spec), range(spec.evaluation.seeds)
    swept = {
        temperature: replace(
            row,
            label=f"{row.label} at temperature {temperature:g}",
            metrics=metrics_of(measured, row.primary_metric),
        )
        for temperature in temperatures_of(spec)
        if temperature != 1 and (measured := read_tested(results, temperature))
    }
    return Entry(
        row=row,
        spec=spec,
        card=cards[spec.key],
        tables=tuple(results.read_learned(table_index(spec, which)) for which in seeds),
        sweep=tuple(each for _, each in sorted((swept | {1.0: row}).items())) if swept else (),
    )


def _champions(
    store: Store, spec: CandidateSpec, cards: Mapping[str, SamplerCard]
) -> dict[str, tuple[str, ...]]:
    """Aliases by key of the candidate that holds them."""
    key = champions_key(spec.backbone.name, spec.backbone.fingerprint)
    suffix, champions = spec.evaluation.alias_suffix, read_champions(store, key)
    held = grouped(champions, champions.__getitem__)
    return {
        name: tuple(sorted(alias.removesuffix(suffix) for alias in held.get(card.sha256, ())))
        for name, card in cards.items()
    }


def _verdicts(store: Store, specs: Sequence[CandidateSpec]) -> dict[str, Verdict]:
    """Who would hold `nfe<N>` among these candidates."""
    return {
        f"nfe{nfe}": decide(store, cell, cell)
        for nfe, cell in sorted(grouped(specs, lambda spec: spec.nfe).items())
        if any(spec.method == BASELINE for spec in cell)
    }


def _teacher(store: Store, specs: Sequence[CandidateSpec]) -> dict[str, Any]:
    """What the teacher's own sequences scored, where a method learned from them."""
    for spec in specs:
        if spec.teacher is None or not spec.taught_as_measured or spec.method == TEMPERATURE:
            continue
        if (found := Results(store, spec).read_teacher()) is not None:
            steps = "exact" if spec.teacher.steps is None else f"{spec.teacher.steps} steps"
            task = get_task(spec.evaluation.task)
            return {
                "teacher": row_of_teacher(spec.backbone.name, spec.teacher.method, task, found),
                "teacher_name": f"{spec.teacher.method} ({steps})",
                "teacher_tokens": found.first,
            }
    return {"teacher": None}


def one_by_one_rows(store: Store, specs: Sequence[CandidateSpec]) -> list[Row]:
    """One token a call along each order of these candidates of one backbone; none on a store that has none."""
    rows = []
    for order, spec in orders_among(specs).items():
        found = read_one_by_one(store, spec, order)
        if found is not None:
            rows.append(row_of_one_by_one(spec.backbone.name, get_task(spec.evaluation.task), found))
    return rows


def _too_few(evaluation: EvaluationSpec) -> str:
    """A warning, where the sizes bear no claims."""
    if evaluation.samples >= ENOUGH_SAMPLES and evaluation.seeds >= FEWEST_SEEDS:
        return ""
    return (
        f"{evaluation.samples} samples x {evaluation.seeds} seeds are too few for claims: "
        f"have at least {ENOUGH_SAMPLES} x {FEWEST_SEEDS}."
    )


def _read_card(store: Store, spec: CandidateSpec) -> SamplerCard:
    return read_card(store, Results(store, spec).card_key)
