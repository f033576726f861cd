"""What the page is about: a backbone's measured samplers, read back from the store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flows.pipeline.champions import champions_key
from flows.pipeline.standings import decide, one_a_law
from flows.pipeline.timing import Took
from lsd_core.candidates import CandidateSpec, EvaluationSpec
from lsd_core.candidates.results import Measurement, Results
from lsd_core.candidates.work import table_index
from lsd_core.cards import SamplerCard
from lsd_core.distillation.learned import Learned
from lsd_core.distillation.methods import BASELINE, TEMPERATURE, get_method
from lsd_core.samplers import place_of
from lsd_core.statistics.intervals import FEWEST_SEEDS
from lsd_core.statistics.promotion import Verdict
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import Task, get_task

ENOUGH_SAMPLES = 1024  # a seed, below which nothing should be claimed


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One law that was measured: a card, its files, and the names it is registered under."""

    spec: CandidateSpec
    card: SamplerCard
    samplers: tuple[str, ...]
    """Base samplers with this law; its results were computed once."""
    aliases: tuple[str, ...]
    label: str
    """The method, told apart from others of its name."""
    tables: tuple[Learned, ...]
    """One a seed."""

    @property
    def learned(self) -> bool:
        return get_method(self.spec.method).learned

    @property
    def shipped(self) -> Learned:
        return self.tables[self.card.seeds.index(self.card.seed)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Book:
    """Everything that the page tells of one backbone."""

    backbone: str
    store: Store
    task: Task
    entries: tuple[Entry, ...]
    """By budget, then best first."""
    verdicts: Mapping[str, Verdict]
    """Who holds `nfe<N>`, and why."""
    teacher: Measurement | None
    teacher_name: str = ""
    sizes: str = ""
    """Said where sizes are too small for claims."""
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, Took] = field(default_factory=dict)
    """What candidates took on the clock, by key of their work, where this machine knows it."""
    left_out: int = 0
    """Samplers on the store that were measured otherwise, so that they cannot be compared."""

    @property
    def budgets(self) -> list[int]:
        return sorted({entry.spec.nfe for entry in self.entries})

    def at(self, nfe: int) -> list[Entry]:
        """The entries of one budget, best first."""
        return [entry for entry in self.entries if entry.spec.nfe == nfe]

    def baseline(self, nfe: int) -> Entry | None:
        """Plain steps at this budget, of the first of the catalogue's base samplers that was measured."""
        plain = [entry for entry in self.at(nfe) if entry.spec.method == BASELINE]
        return min(plain, key=lambda entry: place_of(entry.spec.sampler), default=None)

    def champion(self, nfe: int) -> Entry | None:
        """Who holds `nfe<N>`."""
        return next((entry for entry in self.at(nfe) if f"nfe{nfe}" in entry.aliases), None)

    def results(self, entry: Entry) -> Results:
        return Results(self.store, entry.spec)


def make_book(
    store: Store,
    specs: Sequence[CandidateSpec],
    *,
    verdicts: Mapping[str, Verdict] | None = None,
    sizes: str = "",
    failures: Mapping[str, str] | None = None,
    seconds: Mapping[str, Took] | None = None,
    left_out: int = 0,
) -> Book:
    """The book of candidates of one backbone that have cards and were measured alike."""
    cards = {spec.key: _read_card(store, spec) for spec in specs}
    failures = dict(failures or {})
    for spec in [spec for spec in specs if cards[spec.key].primary.mean is None]:
        failures[spec.label] = f"its {cards[spec.key].evaluation.primary} is not a finite number"
    specs = [spec for spec in specs if cards[spec.key].primary.mean is not None]
    first = specs[0]
    task = get_task(first.evaluation.task)
    verdicts = _verdicts(store, specs) if verdicts is None else verdicts
    laws = one_a_law(specs)
    labels = _labels(laws)
    champions = _champions(store, first, cards)
    entries = []
    for spec in laws:
        twins = [other for other in specs if other.work.key == spec.work.key]
        results = Results(store, spec)
        entries.append(
            Entry(
                spec=spec,
                card=cards[spec.key],
                samplers=tuple(twin.sampler for twin in twins),
                aliases=tuple(alias for twin in twins for alias in champions.get(twin.key, ())),
                label=labels[spec.key],
                tables=tuple(
                    results.read_table(table_index(spec, which)) for which in range(spec.evaluation.seeds)
                ),
            )
        )
    entries.sort(key=lambda entry: (entry.spec.nfe, _number(entry.card.primary.mean)))
    teacher, name = _teacher(store, laws)
    return Book(
        backbone=first.backbone.name,
        store=store,
        task=task,
        entries=tuple(entries),
        verdicts=verdicts,
        teacher=teacher,
        teacher_name=name,
        sizes=sizes or _too_few(first.evaluation),
        failures=failures,
        seconds=seconds or {},
        left_out=left_out,
    )


def _champions(
    store: Store, spec: CandidateSpec, cards: Mapping[str, SamplerCard]
) -> dict[str, tuple[str, ...]]:
    """Aliases by key of the candidate that holds them."""
    key = champions_key(spec.backbone.name, spec.backbone.fingerprint)
    held: Mapping[str, str] = store.read_json(key)["champions"] if store.exists(key) else {}
    return {
        name: tuple(sorted(alias for alias, sha in held.items() if sha == card.sha256))
        for name, card in cards.items()
    }


def _verdicts(store: Store, specs: Sequence[CandidateSpec]) -> dict[str, Verdict]:
    """Who would hold `nfe<N>` among these candidates."""
    budgets = sorted({spec.nfe for spec in specs})
    cells = {nfe: [spec for spec in specs if spec.nfe == nfe] for nfe in budgets}
    return {
        f"nfe{nfe}": decide(store, cell, cell)
        for nfe, cell in cells.items()
        if any(spec.method == BASELINE for spec in cell)
    }


def _labels(specs: Iterable[CandidateSpec]) -> dict[str, str]:
    """The method's name; where several share it at one budget, with what tells them apart."""
    specs = list(specs)
    labels = {}
    for spec in specs:
        same = [o for o in specs if (o.nfe, o.method) == (spec.nfe, spec.method)]
        parts = [spec.method]
        if len({other.sampler for other in same}) > 1:
            parts.append(spec.sampler)
        parts += [
            f"{name} {value}"
            for name, value in spec.method_config.items()
            if any(other.method_config.get(name) != value for other in same)
        ]
        label = ", ".join(parts)
        twins = [
            other
            for other in same
            if other.sampler == spec.sampler and other.method_config == spec.method_config
        ]
        labels[spec.key] = label if len(twins) == 1 else f"{label} {spec.key[:6]}"
    return labels


def _teacher(store: Store, specs: Sequence[CandidateSpec]) -> tuple[Measurement | None, str]:
    """What the teacher's own sequences scored, where a method learned from them."""
    for spec in specs:
        if spec.teacher is not None and spec.method != TEMPERATURE:
            results = Results(store, spec)
            if store.exists(results.teacher_key):
                steps = "exact" if spec.teacher.steps is None else f"{spec.teacher.steps} steps"
                return results.read_teacher(), f"{spec.teacher.method} ({steps})"
    return None, ""


def _too_few(evaluation: EvaluationSpec) -> str:
    """A warning, where the sizes bear no claims."""
    if evaluation.samples >= ENOUGH_SAMPLES and evaluation.seeds >= FEWEST_SEEDS:
        return ""
    return (
        f"{evaluation.samples} samples x {evaluation.seeds} seeds are too few for claims: "
        f"have at least {ENOUGH_SAMPLES} x {FEWEST_SEEDS}."
    )


def _read_card(store: Store, spec: CandidateSpec) -> SamplerCard:
    key = Results(store, spec).card_key
    return SamplerCard.from_json(store.read_bytes(key).decode(), source=store.locate(key))


def _number(value: float | None) -> float:
    return float("inf") if value is None else value
