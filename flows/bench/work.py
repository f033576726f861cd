"""Benchmark `work`: the share of each kind of a grid's jobs spent outside the network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import thread_time

from flows.bench.figures import Figure, Setting
from flows.bench.timing import Spread
from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.metered import Metered
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certify
from lsd_core.candidates.teacher import generate_shard
from lsd_core.candidates.work import learn, measure
from lsd_core.distillation.controls import plain
from lsd_core.distillation.learned import Learned
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import Trajectories
from lsd_core.trajectories.write import encode_shard

TITLE = "share of a job's time outside network calls, jobs of the countdown grid"
UNIT = "job's time"
MOST = 0.1
NFE = 8


@dataclass(frozen=True)
class Job:
    """One kind of work on a metered network."""

    name: str
    run: Callable[[Metered], object]


def ask(setting: Setting) -> list[Figure]:
    """Each job on each shipped network, in this process; the seconds are those of its thread."""
    figures = []
    for name in ("countdown", "countdown-radd"):
        config = load_grid("countdown", backbones=[name], nfe=[NFE], **{"teacher.trajectories": 256})
        plan = make_plan(config)
        backbone, teacher = plan.backbones[0], plan.teachers[0]
        assert isinstance(backbone, DDiTBackbone)
        specs = {spec.method: spec for spec in plan.candidates if spec.sampler == "euler"}
        for job in [_teach(teacher), *_candidate_jobs(specs, generate_shard(backbone, teacher, 0))]:
            shares = [outside(job, Metered(backbone)) for _ in range(setting.rounds)]
            figures.append(Figure.of("work", f"{name}: {job.name}", Spread.of(shares), UNIT, at_most=MOST))
    return figures


def _teach(spec: TeacherSpec) -> Job:
    small = replace(spec, shard_rows=spec.batch)
    return Job("teacher, a shard", lambda backbone: encode_shard(generate_shard(backbone, small, 0), small))


def _learn(spec: CandidateSpec, paths: Trajectories) -> Job:
    return Job(f"learn {spec.method}", lambda backbone: learn(spec, 0, backbone, paths))


def _candidate_jobs(specs: dict[str, CandidateSpec], paths: Trajectories) -> list[Job]:
    """What a grid does to its candidates, a little of each."""
    spec = specs["plain"]
    learned = Learned(table=plain("euler", NFE, paths.length), sequences=0)
    few = replace(spec, evaluation=replace(spec.evaluation, samples=256))
    return [
        *(_learn(specs[method], paths) for method in ("jys", "lsd", "path_kl")),
        Job("draw and judge 256 samples", lambda b: measure(few, "report", 0, 1.0, learned, b)),
        Job("certify", lambda b: certify(spec, 0, learned, b, "reverse")),
    ]


def outside(job: Job, backbone: Metered) -> float:
    """1 - time in the network / all time."""
    begin = thread_time()
    job.run(backbone)
    return 1 - backbone.meter.cpu_s / (thread_time() - begin)
