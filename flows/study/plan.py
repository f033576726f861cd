"""From a StudyConfig to its candidates, and which of them are measured. Bad input ends here."""

from dataclasses import dataclass

from flows.config import GridConfig
from flows.pipeline.plan import Plan, candidate_spec, evaluation_spec
from flows.study.config import StudyConfig, Variant, teacher_of
from lsd_core.backbones.catalog import load_backbone
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.errors import InputError
from lsd_core.trajectories.spec import TeacherSpec

EXACT = "first_hitting"


@dataclass(frozen=True)
class Entry:
    """A variant at one NFE."""

    variant: Variant
    spec: CandidateSpec
    """Under whose key its work is done."""
    measured: bool


@dataclass(frozen=True)
class StudyPlan:
    """The work of a study."""

    study: StudyConfig
    entries: tuple[Entry, ...]
    plan: Plan
    """The same as the phases of a grid read it."""


def make_study_plan(study: StudyConfig) -> StudyPlan:
    """Check everything that can be checked without work, and lay the work out."""
    backbone = load_backbone(study.backbone)
    evaluation = evaluation_spec(
        study.evaluation.model_copy(
            update={
                "temperatures": [1.0],
                "certificate_paths": study.evaluation.certificate_paths
                if study.kind == "certificates"
                else 0,
            }
        ),
        backbone,
        study.task,
    )
    entries: list[Entry] = []
    teachers = dict[str, TeacherSpec]()
    for variant in study.expanded:
        wanted = teacher_of(study, variant)
        if wanted.batch is None:
            raise InputError("teacher.batch", "be given in a study", wanted.batch)
        teacher = teacher_spec(
            backbone,
            method=wanted.method,
            steps=wanted.steps,
            batch=wanted.batch,
            shard_rows=wanted.shard_rows,
            seed=wanted.seed,
        )
        for nfe in variant.nfe or study.nfe:
            spec = candidate_spec(
                backbone=backbone,
                sampler=variant.sampler,
                method=variant.method,
                settings=variant.method_config,
                nfe=nfe,
                teacher=teacher,
                trajectories=wanted.trajectories,
                evaluation=evaluation,
                seed=study.seed,
            )
            entries.append(Entry(variant, spec.work, study.measure_nfe is None or nfe in study.measure_nfe))
            if spec.teacher is not None:
                teachers[teacher.hash] = teacher
    if study.beat and not any(teacher.method == EXACT for teacher in teachers.values()):
        raise InputError("study.beat", f"have a variant that learns from {EXACT}", study.beat)
    most = max(spec.trajectories or 1 for spec in (entry.spec for entry in entries))
    config = GridConfig(
        name=study.name,
        backbones=[study.backbone],
        teacher=study.teacher.model_copy(update={"trajectories": most}),
        evaluation=study.evaluation,
        seed=study.seed,
        workers=study.workers,
        num_gpus=study.num_gpus,
    )
    candidates = tuple({entry.spec.key: entry.spec for entry in entries}.values())
    return StudyPlan(study, tuple(entries), Plan(config, (backbone,), tuple(teachers.values()), candidates))
