"""The phases of a run that Ray works through once the trajectories are there: tables, measurements, certificates.

Each asks the store what is there, has the rest made, and records what failed. None raises because one
candidate did: the others go on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from flows.pipeline.retries import DELAYS_S, failure_may_pass
from flows.pipeline.run import Run
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certifiable
from lsd_core.candidates.temperature import choose_temperature
from lsd_core.candidates.tested import Tested, all_tested, lacking, measured_key, shipped_run
from lsd_core.distillation.methods import BASELINE, TEMPERATURE, get_method
from workers.candidates import CandidateWorker
from workers.jobs import CertifyJob, Job, LearnJob, MeasureJob, TeacherJob
from workers.pool import Pool
from workers.session import workers_for


def measure_teachers(run: Run, pool: Pool[Any, Any]) -> None:
    """What the teachers' own sequences score, once each."""
    present = set(run.store.list("cells"))
    learners = {run.results(spec).teacher_key: spec for spec in _working(run) if spec.teacher is not None}
    jobs = [
        TeacherJob(
            spec=spec.to_dict(),
            only_across=key in present and run.results(spec).teacher_across_key not in present,
        )
        for key, spec in learners.items()
    ]
    have_done(
        run, pool, "measurements", "measure: teacher", jobs, lambda s, job: run.results(s).teacher_across_key
    )


def distill(run: Run, pool: Pool[Any, Any]) -> None:
    """Learn every table that is missing; a control's one table serves all its seeds."""
    jobs = [
        LearnJob(spec=spec.to_dict(), which=which)
        for spec in _alive(run)
        if spec.method != TEMPERATURE
        for which in table_seeds(spec)
    ]
    have_done(run, pool, "tables", "distil", jobs, lambda spec, job: run.results(spec).table_key(job.which))


def measure_selection(run: Run, pool: Pool[Any, Any]) -> None:
    """Samples that select: every candidate at temperature 1, the plain sampler at all temperatures."""
    jobs = [
        MeasureJob(spec=spec.to_dict(), part="selection", which=which, temperature=temperature)
        for spec in _alive(run)
        if spec.method != TEMPERATURE
        for which in range(spec.evaluation.seeds)
        for temperature in (spec.evaluation.temperatures if spec.method == BASELINE else (1.0,))
    ]
    _measure(run, pool, "measure: selection", jobs)
    for spec in _alive(run):
        if spec.method == TEMPERATURE:
            _settle_temperature(run, spec)
    jobs = [
        MeasureJob(spec=spec.to_dict(), part="selection", which=which)
        for spec in _alive(run)
        if spec.method == TEMPERATURE
        for which in range(spec.evaluation.seeds)
    ]
    _measure(run, pool, "measure: temperature", jobs)


def measure_report(run: Run, pool: Pool[Any, Any]) -> None:
    """Fresh samples that are quoted, every table's, and those that promotion tests, cards or no cards.

    A store of an earlier version has cards whose controls were not swept, or whose samples were not compared with one
    another: what promotion lacks is measured then, and the cards stay.
    """
    present = set(run.store.list("cells"))
    jobs: dict[tuple[str, Tested], MeasureJob] = {}
    alive = {spec.key for spec in _alive(run)}
    for spec in _working(run):
        results = run.results(spec)
        quoted = [Tested(part="report", which=which) for which in range(spec.evaluation.seeds)]
        for each in [*(quoted if spec.key in alive else []), *all_tested(results)]:
            there = results.measurement_key(each.part, each.which, each.temperature) in present
            jobs[spec.key, each] = MeasureJob(
                spec=spec.to_dict(),
                **asdict(each),
                only_across=there and measured_key(results, each) not in present,
            )
    _measure(run, pool, "measure: report", list(jobs.values()))


def untested(run: Run) -> bool:
    """Whether promotion lacks measurements of candidates that have cards."""
    present = set(run.store.list("cells"))
    done = {spec.work.key: run.results(spec.work) for spec in run.plan.candidates if spec.key in run.cards}
    return any(lacking(results, present) for results in done.values())


def certify_tables(run: Run, pool: Pool[Any, Any]) -> None:
    """Certificates of the tables that ship."""
    certified = [spec for spec in _alive(run) if certifiable(spec)]
    jobs = [CertifyJob(spec=spec.to_dict(), which=shipped(run, spec)) for spec in certified]
    have_done(
        run, pool, "certificates", "certify", jobs, lambda s, job: run.results(s).certificate_key(job.which)
    )


def candidate_pool(run: Run) -> Pool[Any, Any]:
    """Workers for all candidates of the run: each loads a backbone once."""
    num_gpus = run.plan.config.num_gpus
    workers = run.plan.config.workers or workers_for(len(run.plan.work) * 4, num_gpus=num_gpus)
    return Pool(CandidateWorker, (run.settings.store,), num_workers=workers, num_gpus=num_gpus)


def table_seeds(spec: CandidateSpec) -> range:
    """The learning runs of a candidate: one where nothing is random."""
    return range(spec.evaluation.seeds if get_method(spec.method).needs_paths else 1)


def shipped(run: Run, spec: CandidateSpec) -> int:
    """The learning run whose table ships."""
    return shipped_run(run.results(spec))


def _alive(run: Run) -> list[CandidateSpec]:
    """Candidates that have no card yet and have not failed; equal laws once, big ones first."""
    waiting = {spec.work.key for spec in run.plan.candidates if spec.key not in run.cards}
    return [spec for spec in _working(run) if spec.key in waiting]


def _working(run: Run) -> list[CandidateSpec]:
    """Candidates that have not failed, with a card or without; equal laws once, big ones first."""
    works = {spec.work.key: spec.work for spec in run.plan.candidates if not run.failed(spec)}
    return sorted(works.values(), key=lambda spec: -spec.nfe)


def _settle_temperature(run: Run, spec: CandidateSpec) -> None:
    results = run.results(spec)
    if not run.store.exists(results.table_key(0)):
        plain = run.results(run.plan.in_cells[spec.backbone.fingerprint, spec.nfe, spec.sampler, BASELINE])
        results.write_learned(0, choose_temperature(plain))


def _measure(run: Run, pool: Pool[Any, Any], title: str, jobs: Sequence[MeasureJob]) -> None:
    def key(spec: CandidateSpec, job: Any) -> str:
        if job.part == "selection":
            return run.results(spec).measurement_key(job.part, job.which, job.temperature)
        tested = Tested(part=job.part, which=job.which, temperature=job.temperature)
        return measured_key(run.results(spec), tested)

    have_done(run, pool, "measurements", title, jobs, key)


def have_done(
    run: Run,
    pool: Pool[Any, Any],
    phase: str,
    title: str,
    jobs: Sequence[Job],
    key: Callable[[CandidateSpec, Any], str],
) -> None:
    """Have done what is not on the store yet."""
    specs = [CandidateSpec.from_dict(job.spec) for job in jobs]
    present = set(run.store.list("cells"))
    todo = [job for spec, job in zip(specs, jobs, strict=True) if key(spec, job) not in present]
    run.count(phase, reused=len(jobs) - len(todo), made=len(todo))
    if not todo:
        return
    with (
        run.progress.phase(title, len(todo), phase) as advance,
        run.ledger.stage(title, pool.num_workers) as entry,
    ):
        for delay_s in (*DELAYS_S, None):
            again: list[Job] = []
            for outcome in pool.map(todo):
                if outcome.result is not None:
                    entry.add(outcome.result.spent)
                    run.clock.add(
                        CandidateSpec.from_dict(outcome.item.spec), outcome.item, outcome.result.spent
                    )
                if outcome.failure is not None:
                    spec = CandidateSpec.from_dict(outcome.item.spec)
                    reason = f"{outcome.failure.kind}: {outcome.failure.message}".splitlines()[0]
                    if delay_s is not None and failure_may_pass(outcome.failure.kind):
                        again.append(outcome.item)
                        run.progress.say(f"{spec.label}: again in {delay_s} s, since {reason}")
                        continue
                    run.failures[spec.work.key] = reason
                    run.progress.say(f"{spec.label} failed: {reason}")
                advance(1)
            if not again or delay_s is None:
                return
            time.sleep(delay_s)
            todo = again
