"""A study's work, by the phases of a grid: trajectories, tables, measurements, certificates. No registry.

Everything lies on the store under the key of its candidate, so a study that was cut off, or is asked again, or
shares candidates with another, makes only what is missing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flows.pipeline import cell_work as phases
from flows.pipeline import teacher_work as teaching
from flows.pipeline.progress import Progress
from flows.pipeline.run import Run
from flows.settings import Settings
from flows.study.plan import StudyPlan
from lsd_core.backbones.publish import publish
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import KINDS, certifiable
from lsd_core.candidates.results import Results
from workers.jobs import CertifyJob, Job, LearnJob, MeasureJob, TeacherJob
from workers.session import ray_session


@dataclass(frozen=True)
class Stage:
    """Jobs that may run side by side, and where each leaves its result."""

    name: str
    title: str
    jobs: Callable[[CandidateSpec], Iterator[Job]]
    key: Callable[[Results, Any], str]
    measured_only: bool = False


def _teachers(spec: CandidateSpec) -> Iterator[Job]:
    if spec.teacher is not None:
        yield TeacherJob(spec=spec.to_dict())


def _tables(spec: CandidateSpec) -> Iterator[Job]:
    for which in phases.table_seeds(spec):
        yield LearnJob(spec=spec.to_dict(), which=which)


def _measurements(spec: CandidateSpec) -> Iterator[Job]:
    for which in range(spec.evaluation.seeds):
        yield MeasureJob(spec=spec.to_dict(), part="report", which=which)


def _certificates(spec: CandidateSpec) -> Iterator[Job]:
    if certifiable(spec):
        for which in phases.table_seeds(spec):
            for kind in KINDS:
                yield CertifyJob(spec=spec.to_dict(), which=which, kind=kind)


STAGES = (
    Stage("teachers", "measure: teachers", _teachers, lambda results, job: results.teacher_key),
    Stage("tables", "distil", _tables, lambda results, job: results.table_key(job.which)),
    Stage(
        "measurements",
        "measure: samples",
        _measurements,
        lambda results, job: results.measurement_key(job.part, job.which, job.temperature),
        measured_only=True,
    ),
    Stage(
        "certificates",
        "certify",
        _certificates,
        lambda results, job: results.certificate_key(job.which, job.kind),
        measured_only=True,
    ),
)


def do_work(study: StudyPlan, settings: Settings, progress: Progress) -> Run:
    """Have everything on the store; the run says what was there, what was made and what failed."""
    run = Run(study.plan, settings, progress)
    run.store.check()
    present = set(run.store.list("cells"))
    wanted = {stage.name: set(_jobs(run, study, stage)) for stage in STAGES}
    if all(keys <= present for keys in wanted.values()):
        for name, keys in wanted.items():
            run.count(name, reused=len(keys))
        return run
    for backbone in study.plan.backbones:
        publish(backbone, run.store)
    with ray_session(settings.ray_address, num_cpus=study.study.workers):
        for teacher in study.plan.teachers:
            teaching.generate_teacher(run, teacher)
        with phases.candidate_pool(run) as pool:
            for stage in STAGES:
                jobs = list(_jobs(run, study, stage).values())
                phases.have_done(
                    run,
                    pool,
                    stage.name,
                    stage.title,
                    jobs,
                    lambda spec, job, key=stage.key: key(run.results(spec), job),  # type: ignore[misc]
                )
    return run


def _jobs(run: Run, study: StudyPlan, stage: Stage) -> dict[str, Job]:
    """The stage's jobs by where they leave their results; nothing more for candidates that failed."""
    return {
        stage.key(run.results(entry.spec), job): job
        for entry in sorted(study.entries, key=lambda entry: -entry.spec.nfe)
        if (entry.measured or not stage.measured_only) and not run.failed(entry.spec)
        for job in stage.jobs(entry.spec)
    }
