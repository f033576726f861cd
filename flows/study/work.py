"""The work of a study, in the pieces of a grid: trajectories, then each candidate's tables, measurements, certificates.

Everything lies on the store under the key of its candidate, so a study that was cut off, or is asked again, or
shares candidates with another, makes only what is missing. There is no registry.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

from flows.pipeline.cell_work import Filled, table_seeds, tables
from flows.pipeline.driver import Driver, check_places, teach
from flows.pipeline.run import Run
from flows.pipeline.scheduler import Piece, Steps, reason_of
from flows.pipeline.site import Failures, Site, have_done
from flows.study.plan import StudyPlan
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certifiable, kinds_of
from workers.jobs import CandidateJob, CertifyJob, MeasureJob


def do_work(study: StudyPlan, driver: Driver) -> Run:
    """Have everything on the store; the run says what was there, what was made and what failed."""
    check_places(driver.settings, driver.num_gpus, driver.workers, with_registry=False)
    site, plan = driver.site(), study.plan
    driver.ask(site.check, [entry.spec for entry in study.entries], driver.progress.say)
    run = Run(plan, driver.settings, site.store, counts=driver.counts, timing=driver.timing)
    wanted = dict[str, Wanted]()
    for entry in sorted(study.entries, key=lambda entry: -entry.spec.nfe):
        known = wanted.get(entry.spec.key)
        measured = entry.measured or (known is not None and known.measured)
        wanted[entry.spec.key] = Wanted(entry.spec, measured)
    lacking = {key: one for key, one in wanted.items() if site.missing(one.jobs)}
    for key, one in wanted.items():
        if key not in lacking:
            for phase, jobs in one.phases.items():
                site.count(phase, jobs)
    learners = [one.spec for one in wanted.values() if one.spec.teacher is not None]
    surveys = driver.survey(plan.teachers, plan.config.teacher.trajectories) if lacking else []
    taught, planned = driver.ask(teach, site, surveys, learners)
    pieces = {key: _piece(site, one, taught) for key, one in lacking.items()}
    planned += [job for one in lacking.values() for job in site.missing(one.jobs)]
    if pieces:
        driver.publish_weights(plan.backbones)
    driver.work([*taught.values(), *pieces.values()], planned)
    failures = Failures()
    for key, piece in pieces.items():
        failures |= {key: reason_of(piece.error)} if piece.error else piece.future.result().failures
    return replace(run, failures=failures)


@dataclass(frozen=True)
class Wanted:
    """The jobs of a candidate, for all variants of the study that share it."""

    spec: CandidateSpec
    measured: bool

    @cached_property
    def phases(self) -> dict[str, list[CandidateJob]]:
        """Its jobs; those of a phase may run side by side."""
        kinds = {"tables": tables, "measurements": _measurements, "certificates": _certificates}
        return {name: list(of(self.spec)) for name, of in kinds.items() if self.measured or name == "tables"}

    @property
    def jobs(self) -> list[CandidateJob]:
        return [job for jobs in self.phases.values() for job in jobs]


def _measurements(spec: CandidateSpec) -> Iterator[CandidateJob]:
    for which in range(spec.evaluation.seeds):
        yield MeasureJob(spec=spec, part="report", which=which)


def _certificates(spec: CandidateSpec) -> Iterator[CandidateJob]:
    if certifiable(spec):
        for which in table_seeds(spec):
            for kind in kinds_of(spec):
                yield CertifyJob(spec=spec, which=which, kind=kind)


def _piece(site: Site, wanted: Wanted, taught: dict[str, Piece]) -> Piece:
    spec = wanted.spec
    teacher = None if spec.teacher is None else taught.get(spec.teacher.hash)
    after = () if teacher is None else (teacher,)
    return Piece(spec.label, partial(_steps, site, wanted, teacher), len(wanted.jobs), after)


def _steps(site: Site, wanted: Wanted, teacher: Piece | None) -> Steps:
    if teacher is not None and teacher.error is not None:
        return Filled(failures={wanted.spec.key: reason_of(teacher.error)})
    failures = Failures()
    for phase, jobs in wanted.phases.items():
        if not failures:
            yield from have_done(site, failures, phase, jobs)
    return Filled(failures=failures)
