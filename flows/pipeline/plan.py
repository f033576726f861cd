"""From a GridConfig to its work: teachers, candidates, jobs. Bad input ends here."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flows.config import EvaluationConfig, GridConfig
from flows.grouping import grouped
from flows.pipeline.conditions import Planned, planned_conditions
from flows.pipeline.teacher_batches import planned_teacher
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.family import FAMILIES
from lsd_core.backbones.precision import warn_if_slow
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates import CandidateSpec, EvaluationSpec
from lsd_core.cards import BackboneRef
from lsd_core.distillation.methods import BASELINE, get_method, method_names
from lsd_core.errors import InputError
from lsd_core.metrics.extra import METRICS, check_extras, family
from lsd_core.processes import Process
from lsd_core.samplers import SAMPLERS, calls_per_step, num_steps, steps_in_counts
from lsd_core.samplers.memory import check_tokens
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import TASKS, get_task, task_of
from lsd_core.trajectories.spec import TeacherSpec


@dataclass(frozen=True)
class Cell:
    """A backbone, an NFE and a base sampler, with the samplers that share its kernels and hence its work."""

    backbone: str
    nfe: int
    samplers: tuple[str, ...]
    specs: tuple[CandidateSpec, ...]
    """Its candidates. What brings its own sampler belongs to the budget's first cell."""
    plain: CandidateSpec
    """The baseline, under whose key its work is done."""

    @property
    def label(self) -> str:
        """For people: `countdown nfe8 euler+tweedie`."""
        return f"{self.backbone} nfe{self.nfe} {'+'.join(self.samplers)}"

    @cached_property
    def work(self) -> tuple[CandidateSpec, ...]:
        """The candidates for which something is computed: those with equal kernels count once."""
        return tuple({spec.work.key: spec.work for spec in self.specs}.values())


@dataclass(frozen=True)
class Plan:
    """The work of a grid."""

    config: GridConfig
    backbones: tuple[AnyBackbone, ...]
    teachers: tuple[TeacherSpec, ...]
    """One for each backbone, and for controls that learn with nothing given, another."""
    candidates: tuple[CandidateSpec, ...]
    conditions: tuple[Planned | None, ...] = ()
    """What is given, one for each backbone."""

    @cached_property
    def work(self) -> tuple[CandidateSpec, ...]:
        """The candidates for which something is computed: those with equal kernels count once."""
        return tuple({spec.work.key: spec.work for spec in self.candidates}.values())

    @cached_property
    def by_backbone(self) -> Mapping[str, Sequence[CandidateSpec]]:
        """The candidates by fingerprint of their backbone."""
        return grouped(self.candidates, lambda spec: spec.backbone.fingerprint)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The candidates by backbone, NFE and kernels, in the order of the grid."""
        own, first = set(self.config.samplers), dict[tuple[str, int], str]()
        groups = dict[tuple[str, int, str], list[CandidateSpec]]()
        for spec in self.candidates:
            budget, kernel = (spec.backbone.fingerprint, spec.nfe), spec.work.sampler
            kernel = first.setdefault(budget, kernel) if spec.sampler not in own else kernel
            first.setdefault(budget, kernel)
            groups.setdefault((*budget, kernel), []).append(spec)
        cells = []
        for (_, nfe, _), specs in groups.items():
            named = {spec.sampler for spec in specs}
            samplers = tuple(sampler for sampler in self.config.samplers if sampler in named)
            plain = next(s.work for s in specs if s.method == BASELINE)
            cells.append(Cell(specs[0].backbone.name, nfe, samplers, tuple(specs), plain))
        return tuple(cells)

    @property
    def needs_teacher(self) -> bool:
        return any(spec.teacher is not None for spec in self.candidates)


def make_plan(
    config: GridConfig, store: Store | None = None, load: Callable[[str], AnyBackbone] = load_backbone
) -> Plan:
    """Check everything that can be checked without work, and lay the work out.

    A teacher's batch that the grid leaves open is looked up on the store, or resolved and frozen there.
    """
    backbones = tuple(load(name) for name in config.backbones)
    _check_different(config, backbones)
    if not config.num_gpus:  # what workers would say goes to Ray's files
        for backbone in backbones:
            warn_if_slow(backbone.config.get("body_dtype", "float32"))
    for name in (*_named(config), *config.method_configs):
        get_method(name)
    planned = tuple(
        planned_conditions(config.conditions, backbone, config.task or task_of(backbone), store)
        for backbone in backbones
    )
    teachers, candidates = list[TeacherSpec](), dict[str, CandidateSpec]()
    for backbone, conditions in zip(backbones, planned, strict=True):
        given = None if conditions is None else conditions.learn
        teacher = planned_teacher(backbone, config.teacher, store, given)
        without = teacher if given is None else planned_teacher(backbone, config.teacher, store)
        specs = list(_candidates(config, backbone, teacher, without, conditions))
        candidates |= {spec.key: spec for spec in specs if spec.key not in candidates}
        read = {spec.teacher.hash for spec in specs if spec.teacher is not None}
        teachers += [teacher, without] if without != teacher and without.hash in read else [teacher]
    return Plan(config, backbones, tuple(teachers), tuple(candidates.values()), planned)


def _check_different(config: GridConfig, backbones: Sequence[AnyBackbone]) -> None:
    """Raise InputError where two backbones would share aliases, verdicts and a page."""
    for what in ("name", "fingerprint"):
        found = [getattr(backbone, what) for backbone in backbones]
        times = Counter(found)
        twins = [a for a, own in zip(config.backbones, found, strict=True) if times[own] > 1]
        if twins:
            rule = "be different networks with names of their own"
            remedy = "give each a grid of its own, or its file another name"
            raise InputError("grid.backbones", rule, f"one {what} for {' and '.join(twins)}", remedy)


def _candidates(
    config: GridConfig,
    backbone: AnyBackbone,
    teacher: TeacherSpec,
    without: TeacherSpec,
    conditions: Planned | None,
) -> Iterator[CandidateSpec]:
    """`without` is the teacher with nothing given, for controls that learn so."""
    evaluation = evaluation_spec(config.evaluation, backbone, config.task)
    if conditions is not None:
        evaluation = replace(evaluation, conditions=conditions.held_out.record)
    named = dict.fromkeys([BASELINE, *_named(config, backbone.process)])
    served = {name: _served(config, backbone, name) for name in named}
    for nfe in config.nfe:
        for base in config.samplers:
            for name in (name for name in named if base in served[name]):
                yield candidate_spec(
                    backbone=backbone,
                    sampler=base,
                    method=name,
                    settings=config.method_configs.get(name, {}),
                    nfe=nfe,
                    teacher=without if get_method(name).conditional == "rescaled" else teacher,
                    trajectories=config.teacher.trajectories,
                    evaluation=evaluation,
                    seed=config.seed,
                )


def _named(config: GridConfig, process: Process | None = None) -> list[str]:
    """The methods asked for; `all` are those that are for the process, and for grids with conditions or without."""
    given = config.conditions is not None
    all_names = [name for name in method_names(process) if get_method(name).is_for(given)]
    return all_names if config.methods == ["all"] else config.methods


def _served(config: GridConfig, backbone: AnyBackbone, name: str) -> list[str]:
    """The grid's base samplers whose cells a method can fill.

    A method asked for by name that can fill none is kept for all, so that its spec says why.
    """
    settings, given = config.method_configs.get(name, {}), config.conditions is not None
    served = [
        base for base in config.samplers if get_method(name).serves(base, backbone.process, settings, given)
    ]
    return served or ([] if config.methods == ["all"] else config.samplers)


def evaluation_spec(
    section: EvaluationConfig, backbone: AnyBackbone, task_name: str | None = None
) -> EvaluationSpec:
    """How candidates of this backbone are measured: by the task that is asked for, else the one it declares."""
    task = get_task(task_name or task_of(backbone))
    task.check(backbone)
    for field in ("samples", "selection_samples"):
        check_tokens(f"evaluation.{field}", getattr(section, field) or 1, backbone)
    check_extras(section.metrics, backbone, max(section.samples, section.selection_samples or 0))
    return EvaluationSpec(
        task=task.name,
        samples=section.samples,
        selection_samples=section.selection_samples or section.samples,
        seeds=section.seeds,
        batch=section.batch,
        temperatures=tuple(sorted({1.0, *section.temperatures}, reverse=True)),
        certificate_paths=section.certificate_paths,
        metrics=tuple(dict.fromkeys(section.metrics)),
    )


def candidate_spec(
    *,
    backbone: AnyBackbone,
    sampler: str,
    method: str,
    settings: Mapping[str, Any],
    nfe: int,
    teacher: TeacherSpec,
    trajectories: int,
    evaluation: EvaluationSpec,
    seed: int,
) -> CandidateSpec:
    """The spec of one candidate; a name, setting or budget that cannot be raises InputError."""
    filled = get_method(method)
    filled.check_process(backbone.process)
    calls_per_step(sampler, backbone.process)
    chosen = filled.config(settings)
    sampler = filled.own_sampler or sampler
    filled.check_sampler(sampler, backbone.process, chosen)
    filled.check_conditions(sampler, evaluation.conditions is not None)
    steps = num_steps(sampler, nfe, backbone.process)
    in_counts = (
        sampler if steps_in_counts(sampler) else filled.name if filled.counts(backbone.process) else ""
    )
    if in_counts and steps > backbone.length:
        remedy = "a step on counts reveals at least one token"
        raise InputError("nfe", f"be at most {backbone.length}, the length, for {in_counts}", nfe, remedy)
    return CandidateSpec(
        backbone=BackboneRef(name=backbone.name, fingerprint=backbone.fingerprint, family=backbone.family),
        process=backbone.process.to_dict(),
        length=backbone.length,
        sampler=sampler,
        method=method,
        nfe=nfe,
        method_config=filled.settings(chosen, settings),
        teacher=teacher if filled.needs_paths else None,
        trajectories=trajectories if filled.needs_paths else None,
        evaluation=evaluation,
        seed=seed,
        components=FAMILIES.recorded(*({backbone.family} & set(FAMILIES)))
        | SAMPLERS.recorded(sampler)
        | filled.recorded(sampler, backbone.process)
        | TASKS.recorded(evaluation.task)
        | METRICS.recorded(*map(family, evaluation.metrics)),
    )
