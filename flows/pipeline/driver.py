"""The driver of every run, be it a flow, a single cell, a study or trajectories alone: backbones on the store, Ray, one
pool, the pieces of work, and what became of each."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from flows.config import GridConfig
from flows.grouping import grouped
from flows.pipeline.cell_work import Filled, cell_piece, complete, planned_jobs, read_cards
from flows.pipeline.conditions import publish_conditions
from flows.pipeline.one_by_one import one_by_one_pieces
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import Phases, Progress, listener
from flows.pipeline.retries import Answer, Given, patiently
from flows.pipeline.run import Run
from flows.pipeline.scheduler import Piece, Scheduler, reason_of
from flows.pipeline.site import Counts, Site, places_of
from flows.pipeline.teachers import Survey, Tally, teacher_piece
from flows.pipeline.timing import PoolTiming, Timing
from flows.pipeline.watcher import end_with_this_process
from flows.settings import LOCAL_RAY, Settings
from lsd_core import registry
from lsd_core.backbones.device import check_gpus
from lsd_core.backbones.imported import named_targets
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.publish import publish
from lsd_core.candidates import CandidateSpec
from lsd_core.errors import InputError
from lsd_core.numerics.machine import cores
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from workers.jobs import CertifyJob, Job, LearnJob, MeasureJob, OneByOneJob, ShardJob, TeacherJob
from workers.messages import Message
from workers.pool import Outcome, Pool
from workers.session import check_address, ray_session, workers_for
from workers.worker import Worker

WORKERS_A_CORE = 2  # of a private Ray: while one waits for the store, another computes
NAMED = 3  # backbones in the label of a worker


def check_places(
    settings: Settings, num_gpus: float = 0, workers: int | None = None, *, with_registry: bool = True
) -> None:
    """Raise InputError unless the store, the cluster, and the registry where one is needed, can be used.

    A cluster may get its GPUs and nodes when they are asked for; a private Ray has those of this machine.
    """
    Store(settings.store).check()
    check_address(settings.ray_address)
    if settings.ray_address == LOCAL_RAY:
        check_gpus(float(num_gpus))
        _check_workers(workers or 1)
    if with_registry:
        registry.check(settings.tracking_uri)


def prepare(config: GridConfig, settings: Settings, *, with_registry: bool = True) -> Plan:
    """Everything that can be wrong with the input, found before any work starts."""
    plan = make_plan(config, Store(settings.store))
    check_places(settings, config.num_gpus, config.workers, with_registry=with_registry)
    return plan


def _check_workers(workers: int) -> None:
    """Raise InputError for workers that would only take memory: each has a Python with torch of its own."""
    most = WORKERS_A_CORE * cores()
    if workers > most:
        rule = f"be at most {most} on this machine's {cores()} cores"
        shown = f"{workers}, which would take {workers / 2:g} GB"
        raise InputError("workers", rule, shown, "leave it out for a worker a core")


def publish_backbones(backbones: Sequence[AnyBackbone], store_url: str) -> None:
    """Put frozen weights on the store, where workers fetch them."""
    for backbone in backbones:
        publish(backbone, Store(store_url))


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Settings, progress and callbacks of a run; a flow puts task runs around its steps."""

    settings: Settings
    progress: Progress
    workers: int | None = None
    num_gpus: float = 0
    hear: Callable[[Message], None] | None = None
    """Takes messages of workers; if left out, a log takes their remarks."""
    publish: Callable[[Sequence[AnyBackbone], str], Any] | None = None
    """Publishes weights, as a task run; if left out, they are, tried again while the store does not answer."""
    begun: Callable[[Piece], None] = lambda piece: None
    """Called when work on a piece begins."""
    timing: Timing = field(default_factory=Timing)
    counts: Counts = field(default_factory=Counts)

    def site(self, alone: Sequence[CandidateSpec] = ()) -> Site:
        """The store as the pieces of a run share it; a run of one cell looks at its own candidates' files alone."""
        return Site(Store(self.settings.store), self.counts, alone=places_of(alone))

    def ask(self, work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """What `work` returns, tried again while the store does not answer; it may be repeated."""
        return patiently(self.progress.say, work, *args, **kwargs)

    def publish_weights(self, backbones: Sequence[AnyBackbone]) -> None:
        """Put frozen weights on the store; which also mends a damaged file."""
        if self.publish is None:
            self.ask(publish_backbones, backbones, self.settings.store)
        else:
            self.publish(backbones, self.settings.store)

    def survey(self, teachers: Iterable[TeacherSpec], trajectories: int) -> list[Survey]:
        """See which shards are there, and count them; reads and hashes them all."""
        store = Store(self.settings.store)
        surveys = [
            self.ask(Survey.of, store, teacher, range(teacher.num_shards(trajectories)))
            for teacher in teachers
        ]
        for survey in surveys:
            self.counts.add("shards", reused=len(survey.intact), made=len(survey.missing))
        return surveys

    def work(self, pieces: Sequence[Piece], planned: Sequence[Job]) -> None:
        """Work through the pieces on one pool; nothing is started where there are none."""
        if not pieces:
            return
        if self.settings.ray_address == LOCAL_RAY:
            end_with_this_process()
        hear = self.hear or listener(self.progress)
        with ray_session(self.settings.ray_address, num_cpus=self.workers, hear=hear):
            width = sum(piece.width for piece in pieces)
            size = min(self.workers or workers_for(width, num_gpus=self.num_gpus), max(1, width))
            made_of = (self.settings.store, named_targets())
            label = label_of(planned)
            pool = partial(Pool, Worker, made_of, num_workers=size, num_gpus=self.num_gpus, label=label)
            with self.timing.pool(size) as timing, Phases(self.progress, _totals(planned)) as phases:
                shown = _Shown(self.progress, phases, timing)
                Scheduler(pieces, self.progress, begun=self.begun, done=shown.done, sent=shown.sent).run(pool)


def make_trajectories(plan: Plan, driver: Driver) -> Counts:
    """The trajectories of every backbone of a grid and nothing else, so that a later grid finds them ready."""
    site = driver.site()
    driver.publish_weights(plan.backbones)
    driver.ask(publish_conditions, plan.conditions, site.store)
    surveys = driver.survey(plan.teachers, plan.config.teacher.trajectories)
    taught, jobs = driver.ask(teach, site, surveys)
    driver.work([*taught.values()], jobs)
    for piece in taught.values():
        piece.future.result()  # the first reason why there are none
    return driver.counts


def fill_cells(plan: Plan, driver: Driver, *, check_teachers: bool = True) -> Run:
    """Learn, measure and certify all candidates that have no card yet, and give them one.

    `check_teachers` also has shards made anew that are missing or damaged where every card is there.
    """
    site = driver.site(plan.candidates if len(plan.cells) == 1 else ())
    driver.ask(site.check, plan.candidates, driver.progress.say)
    cards = driver.ask(read_cards, site, plan.candidates)
    run = Run(plan, driver.settings, site.store, counts=driver.counts, timing=driver.timing)
    todo = [spec for spec in plan.candidates if spec.key not in cards]
    driver.counts.add("cells", reused=len(cards), made=len(todo))
    incomplete = {spec.key for spec in plan.candidates if not driver.ask(complete, site, spec)}
    if not incomplete and not check_teachers:
        return replace(run, cards=cards)
    driver.publish_weights(plan.backbones)
    driver.ask(publish_conditions, plan.conditions, site.store)
    learners = [spec for spec in plan.candidates if spec.teacher is not None]
    teachers = list({spec.teacher.hash: spec.teacher for spec in learners if spec.teacher}.values())
    surveys = driver.survey(teachers, plan.config.teacher.trajectories)
    taught, jobs = driver.ask(teach, site, surveys, learners)
    cells = {}
    for cell in plan.cells:
        lacking = tuple(spec for spec in cell.specs if spec.key in incomplete)
        if lacking:
            open_cell = replace(cell, specs=lacking)
            cells[cell_piece(site, open_cell, taught)] = open_cell
            jobs += planned_jobs(site, open_cell)
    orders, drawn = driver.ask(one_by_one_pieces, site, plan) if check_teachers else ([], [])
    big_first = sorted(cells, key=lambda piece: -cells[piece].nfe)
    driver.work([*taught.values(), *big_first, *orders], [*jobs, *drawn])
    for piece in orders:  # they are shown beside the cells, and no cell needs them
        if piece.error is not None:
            driver.progress.say(f"{piece.name} failed: {reason_of(piece.error)}")
    failures = dict[str, str]()
    for piece, cell in cells.items():
        if piece.error is not None:
            failures |= {spec.key: reason_of(piece.error) for spec in cell.work}
        else:
            filled: Filled = piece.future.result()
            cards |= filled.cards
            failures |= filled.failures
    if not cells:  # what is missing is missed by nothing else
        for piece in taught.values():
            piece.future.result()
    return replace(run, cards=cards, failures=failures)


def teach(
    site: Site, surveys: Sequence[Survey], learners: Sequence[CandidateSpec] = ()
) -> tuple[dict[str, Piece], list[Job]]:
    """The pieces of the teachers that lack shards or the score of their own sequences, by hash, and their jobs.

    Where nothing is lacking the manifest is published at once.
    """
    pieces, jobs = dict[str, Piece](), list[Job]()
    taught = grouped(learners, lambda spec: spec.teacher and spec.teacher.hash)
    for survey in surveys:
        own = [
            TeacherJob(spec=spec, only_across=site.results(spec).teacher_key in site.present)
            for spec in taught.get(survey.teacher.hash, ())
        ]
        measured = site.missing(own)
        if survey.missing or measured:
            pieces[survey.teacher.hash] = teacher_piece(site, survey, own)
            jobs += [*survey.jobs, *measured]
        else:
            publish_manifest(site.store, survey.teacher, survey.intact.values())
    return pieces, jobs


def stage_of(job: Job) -> tuple[str, str]:
    """(the stage that a job belongs to, what is counted there)."""
    match job:
        case ShardJob():
            return f"teacher {job.teacher.backbone}", "trajectories"
        case LearnJob():
            return "distil", "tables"
        case MeasureJob():
            return f"measure: {job.part}", "measurements"
        case CertifyJob():
            return "certify", "certificates"
        case TeacherJob():
            return "measure: teacher", "measurements"
        case OneByOneJob():
            return "measure: one by one", "orders"


def _amount(job: Job) -> int:
    return job.teacher.shard_rows if isinstance(job, ShardJob) else 1


def _totals(jobs: Sequence[Job]) -> Counter[str]:
    totals = Counter[str]()
    for job in jobs:
        totals[stage_of(job)[0]] += _amount(job)
    return totals


def label_of(jobs: Sequence[Job]) -> str:
    """Role and backbones of a pool's workers, as Ray's dashboard names them."""
    found = (job.teacher.backbone if isinstance(job, ShardJob) else job.spec.backbone.name for job in jobs)
    names = list(dict.fromkeys(found))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"lsd worker: {', '.join(names[:NAMED])}{more}"


@dataclass(frozen=True)
class _Shown:
    """Jobs as they are sent and come back, on bars, in the log and in the times."""

    progress: Progress
    phases: Phases
    timing: PoolTiming
    tallies: dict[str, Tally] = field(default_factory=dict)

    def sent(self, job: Job) -> None:
        self.phases.begin(*stage_of(job))

    def done(self, outcome: Outcome[Job, Any]) -> None:
        job, (stage, _), note = outcome.item, stage_of(outcome.item), ""
        if outcome.failure is not None:
            whose = stage if isinstance(job, ShardJob | OneByOneJob) else job.spec.label
            self.progress.say(f"{whose} failed: {reason_of(outcome.failure)}")
        elif outcome.result is not None and outcome.result.spent is not None:
            self.timing.add(stage, job, outcome.result.spent)
        if isinstance(job, ShardJob) and outcome.result is not None:
            tally = self.tallies.setdefault(stage, Tally())
            tally.add(outcome.result)
            note = tally.note
        self.phases.advance(stage, _amount(job), note)
