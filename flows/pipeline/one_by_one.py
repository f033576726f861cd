"""The one-by-one rows of a grid: for each backbone, one token a call along every order of its base samplers."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from flows.pipeline.plan import Plan
from flows.pipeline.scheduler import Piece, Steps, reason_of
from flows.pipeline.site import Site, WorkFailed
from lsd_core.candidates.one_by_one import orders_among
from lsd_core.samplers.orders import UNIFORM
from workers.jobs import Job, OneByOneJob

PHASE = "orders"
CALLS_A_POSITION = 6  # of a sample and its gap: twice drawn, four times scored


def one_by_one_jobs(plan: Plan) -> list[OneByOneJob]:
    """A job an order, at most as many samples as candidates are reported on; none where all orders are uniform."""
    section = plan.config.evaluation
    samples = min(section.one_by_one, section.samples)
    jobs = list[OneByOneJob]()
    for backbone in plan.backbones if samples > 1 else ():
        orders = orders_among(plan.by_backbone.get(backbone.fingerprint, ()))
        jobs += [OneByOneJob(spec=spec, order=order, samples=samples) for order, spec in orders.items()]
    return jobs


def sequences(job: OneByOneJob) -> int:
    """Sequences that it sends through the network."""
    calls = 1 if job.order == UNIFORM.name else CALLS_A_POSITION
    return job.samples * job.spec.length * calls


def one_by_one_pieces(site: Site, plan: Plan) -> tuple[list[Piece], list[Job]]:
    """One for each backbone that lacks any, and their jobs; what is there is counted."""
    pieces, missing, jobs = list[Piece](), list[Job](), one_by_one_jobs(plan)
    site.count(PHASE, jobs)
    for name, several in groupby(jobs, lambda job: f"one by one {job.spec.backbone.name}"):
        mine = list(several)
        if lacking := site.missing(mine):
            pieces.append(Piece(name, partial(_steps, site, name, mine), len(mine), kind="teacher"))
            missing += lacking
    return pieces, missing


def _steps(site: Site, name: str, jobs: Sequence[OneByOneJob]) -> Steps:
    failed = list[str]()
    for outcome in (yield site.missing(jobs)):
        if outcome.failure is None:
            site.done(outcome.item)
        else:
            failed.append(f"{outcome.item.order} order: {reason_of(outcome.failure)}")
    if failed:
        raise WorkFailed(f"{name}: {'; '.join(failed)}")
