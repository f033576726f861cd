"""Put the cards of a run into the registry, and give its aliases to the champions."""

from collections.abc import Mapping, Sequence
from functools import partial

from flows.grouping import grouped
from flows.pipeline.champions import registered_champions, remember_champions
from flows.pipeline.progress import Progress
from flows.pipeline.run import Run
from flows.pipeline.standings import decide
from flows.report.page_data import one_by_one_rows
from flows.report.run_report import Outcome
from flows.report.table_rows import Row, row_of_card, row_of_teacher
from lsd_core import registry
from lsd_core.candidates import CandidateSpec
from lsd_core.distillation.methods import TEMPERATURE, get_method
from lsd_core.statistics.promotion import Verdict
from lsd_core.tasks.catalog import get_task


def register_cards(run: Run, progress: Progress) -> dict[str, str]:
    """Register the cards and return their URIs by key of the candidate; a registered one keeps its version."""
    uris = dict[str, str]()
    with progress.phase("register", len(run.cards), "samplers") as advance:
        for spec in run.plan.candidates:
            if spec.key in run.cards:
                uris[spec.key] = registry.register(
                    run.cards[spec.key],
                    tracking_uri=run.settings.tracking_uri,
                    store_url=run.settings.store,
                    histories=_histories(run, spec),
                )
                advance(1)
    return uris


def promote_champions(run: Run) -> Outcome:
    """Decide who holds each alias, and move them.

    `nfe8` is held against all controls at 8 calls, `nfe8-euler` against those of Euler steps and those that bring a
    base sampler of their own. An alias stays where it is if a control that it would have to beat failed. In the
    registry the aliases of a grid with conditions end in `-given-` and the set's digest: they move no other ones.
    """
    rows: list[Row] = []
    verdicts: dict[str, dict[str, Verdict]] = {}
    undecided: dict[str, str] = {}
    for backbone in run.plan.backbones:
        every = run.plan.by_backbone.get(backbone.fingerprint, ())
        specs = [spec for spec in every if spec.key in run.cards]
        if not specs:
            continue
        mine, doubtful = decide_aliases(run, every)
        verdicts[backbone.name] = mine
        undecided |= {f"{backbone.name} {alias}": reason for alias, reason in doubtful.items()}
        if mine:
            suffix = specs[0].evaluation.alias_suffix
            named_as = {alias + suffix: verdict.key for alias, verdict in mine.items()}
            champions = {alias: run.uris[key].rsplit("/", 1)[1] for alias, key in named_as.items()}
            registry.set_champions(
                backbone.name, backbone.fingerprint, champions, tracking_uri=run.settings.tracking_uri
            )
            cards = {alias: run.cards[key].sha256 for alias, key in named_as.items()}
            named = backbone.name, backbone.fingerprint
            known = partial(registered_champions, *named, run.settings.tracking_uri)
            remember_champions(run.store, *named, cards, otherwise=known)
        rows += rows_of(run, every, mine)
    suffixes = {spec.backbone.name: spec.evaluation.alias_suffix for spec in run.plan.candidates}
    failures = {**run.reasons, **undecided}
    return Outcome(rows=rows, verdicts=verdicts, failures=failures, alias_suffixes=suffixes)


def decide_aliases(run: Run, specs: Sequence[CandidateSpec]) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Verdicts on the aliases of a backbone whose candidates these are, and why others were not decided."""
    verdicts, undecided = dict[str, Verdict](), dict[str, str]()
    budgets = grouped(specs, lambda spec: spec.nfe)
    for nfe in run.plan.config.nfe:
        every = budgets.get(nfe, [])
        cell = [spec for spec in every if spec.key in run.cards]
        beside = [spec for spec in cell if get_method(spec.method).own_sampler is not None]
        names = {sampler: f"nfe{nfe}-{sampler}" for sampler in run.plan.config.samplers}
        for sampler, alias in [*names.items(), (None, f"nfe{nfe}")]:
            own = [spec for spec in cell if sampler in (None, spec.sampler)]
            missing = _failed_controls(run, every, sampler)
            if missing:
                undecided[alias] = f"not decided, since {', '.join(missing)} failed"
            elif own:
                verdicts[alias] = decide(run.store, own, own if sampler is None else [*own, *beside])
    return verdicts, undecided


def rows_of(run: Run, specs: Sequence[CandidateSpec], verdicts: Mapping[str, Verdict]) -> list[Row]:
    """The rows of a backbone: its candidates that have cards, its teacher, and one token a call."""
    held = grouped(verdicts, lambda alias: verdicts[alias].key)
    measured = [spec for spec in specs if spec.key in run.cards]
    rows = [
        row_of_card(
            run.cards[spec.key],
            aliases=tuple(held.get(spec.key, ())),
            uri=run.uris.get(spec.key, ""),
            work=spec.work.key,
        )
        for spec in measured
    ]
    return [*rows, *_teacher_rows(run, specs), *one_by_one_rows(run.store, measured)]


def _failed_controls(run: Run, specs: Sequence[CandidateSpec], sampler: str | None) -> list[str]:
    """Controls of a cell, or of a budget if the sampler is None, without which no alias of it is decided."""
    return [
        spec.label
        for spec in specs
        if run.failed(spec)
        and sampler in (None, spec.sampler)
        and not get_method(spec.method).learned
        and spec.method != TEMPERATURE
    ]


def _teacher_rows(run: Run, specs: Sequence[CandidateSpec]) -> list[Row]:
    """The teacher's own sequences, if any method learned from them."""
    for spec in specs:
        if spec.taught_as_measured and spec.teacher is not None:
            task, found = get_task(spec.evaluation.task), run.results(spec).read_teacher()
            if found is not None:
                return [row_of_teacher(spec.backbone.name, spec.teacher.method, task, found)]
            break
    return []


def _histories(run: Run, spec: CandidateSpec) -> Mapping[int, Mapping[str, Sequence[float]]]:
    """Learning curves by seed; a series of lists becomes one series for each entry."""
    if not get_method(spec.method).needs_paths:
        return {}
    histories: dict[int, dict[str, Sequence[float]]] = {}
    for which in range(spec.evaluation.seeds):
        series: dict[str, Sequence[float]] = {}
        for name, values in run.results(spec).read_learned(which).history.items():
            if values and isinstance(values[0], list):
                columns = zip(*values, strict=True)
                series |= {f"{name}/{k:02d}": list(column) for k, column in enumerate(columns)}
            else:
                series[name] = values
        histories[which] = series
    return histories
