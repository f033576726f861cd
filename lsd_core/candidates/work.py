"""The two kinds of work a candidate asks for: learn a table, measure a table."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.device import computing_on, device_kind, device_of
from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.shared_costs import CostsOnStore
from lsd_core.candidates.spec import CandidateSpec, EvaluationSpec
from lsd_core.distillation.learned import Keep, Learned, Problem, Progress, Watch
from lsd_core.distillation.methods import get_method
from lsd_core.errors import InputError
from lsd_core.metrics.across import Across
from lsd_core.samplers import generate, num_steps
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.table import StepTable
from lsd_core.tasks.evaluate import evaluate_across, evaluate_tokens
from lsd_core.trajectories.conditions import Conditions
from lsd_core.trajectories.types import Trajectories

SHOWN = 4  # sequences of each measurement that are kept to be looked at


def learn(
    spec: CandidateSpec,
    which: int,
    backbone: AnyBackbone,
    trajectories: Trajectories | None,
    progress: Progress = lambda stage, share: None,
    watch: Watch = lambda step, values: None,
    keep: Keep = lambda name, make: make(),
    conditions: Conditions | None = None,
    shared_costs: CostsOnStore | None = None,
) -> Learned:
    """The table of the `which`-th learning run; a control has nothing to learn and needs no trajectories.

    Computed where the backbone lies. `keep` is for one backbone and these trajectories, see `Problem`. `conditions` are
    those of the trajectories. What was read of `shared_costs` is noted with the table.
    """
    method, device = get_method(spec.method), device_of(backbone)
    if conditions is not None:
        backbone = Conditioned(absorbing(backbone, "conditions"))
    problem = Problem(
        backbone=backbone,
        sampler=spec.sampler,
        num_steps=num_steps(spec.sampler, spec.nfe, backbone.process),
        trajectories=None if trajectories is None else trajectories.to(device),
        teacher_seed=None if spec.teacher is None else spec.teacher.seed,
        conditions=conditions,
        seed=spec.learning_seed(which),
        batch=spec.evaluation.batch,
        progress=progress,
        watch=watch,
        keep=keep,
        shared_costs=shared_costs,
    )
    with computing_on(device):
        learned = method.fit(problem, method.config(spec.method_config))
    notes = {} if shared_costs is None else shared_costs.noted
    return replace(learned, diagnostics=learned.diagnostics | notes) if notes else learned


def measure(
    spec: CandidateSpec,
    part: str,
    which: int,
    temperature: float,
    learned: Learned,
    backbone: AnyBackbone,
    progress: Callable[[int], None] = lambda done: None,
    conditions: Conditions | None = None,
) -> Measurement:
    """Draw the samples of one seed, where the backbone lies, and judge them; under the evaluation's `conditions`.

    A temperature divides the log-scores: on a table whose gains act there it divides the gains by it, and
    only such tables (controls among them) are measured at temperatures other than 1.
    """
    table = as_drawn(learned.table, temperature)
    seed, device = spec.sampling_seed(part, which), device_of(backbone)
    samples = generate(
        backbone,
        spec.sampler,
        table,
        spec.evaluation.samples_of(part),
        seed,
        batch=spec.evaluation.batch,
        device=device,
        given=conditions,
        progress=progress,
    )
    if conditions is not None:
        check_given(samples.tokens, conditions, seed)
    scores = evaluate_tokens(spec.evaluation.task, samples.tokens, backbone, seed, spec.evaluation.metrics)
    return Measurement(
        metrics=dict(scores.metrics),
        calls_mean=float(samples.calls.double().mean()),
        calls_max=int(samples.calls.max()),
        scores=scores.primary,
        first=_first(samples.tokens) if shows(part, temperature) else (),
        across=_across(spec.evaluation, samples.tokens, backbone) if compared(part, temperature) else None,
        device_kind="" if device.type == "cpu" else device_kind(device),
    )


def as_drawn(table: StepTable, temperature: float) -> StepTable:
    """The table that is sampled with: at a temperature the gains are divided by it."""
    if temperature == 1:
        return table
    return table.with_gains(tuple(gain / temperature for gain in table.gains))


def check_given(tokens: Int[Tensor, "n l"], conditions: Conditions, seed: int) -> None:
    """Raise InputError where a given token was changed in samples 0 .. n - 1 of a seed."""
    templates = conditions.at(seed, torch.arange(len(tokens)))
    changed = int(((templates != conditions.mask) & (tokens != templates)).any(1).sum())
    if changed:
        raise InputError("samples", "keep what is given", f"{changed} of {len(tokens)} that do not")


def table_index(spec: CandidateSpec, which: int) -> int:
    """The learning run whose table seed `which` measures: a control has one table for all seeds."""
    return which if get_method(spec.method).needs_paths else 0


def temperatures_of(spec: CandidateSpec) -> tuple[float, ...]:
    """Temperatures at which a candidate is reported: a sweep for controls, for comparison at equal entropy."""
    return spec.evaluation.temperatures if get_method(spec.method).sweep else (1.0,)


def measure_teacher(
    evaluation: EvaluationSpec, trajectories: Trajectories, backbone: AnyBackbone, seed: int, calls: int
) -> Measurement:
    """What the teacher's own sequences score, at `calls` a sequence: the row that students are held against."""
    tokens = trajectories.x_end
    assert tokens is not None
    scores = evaluate_tokens(evaluation.task, tokens.long(), backbone, seed, evaluation.metrics)
    return Measurement(
        metrics=dict(scores.metrics),
        calls_mean=float(calls),
        calls_max=calls,
        scores=scores.primary,
        first=_first(tokens),
        across=_across(evaluation, tokens, backbone),
    )


def shows(part: str, temperature: float) -> bool:
    """Whether some of these samples are kept to be looked at."""
    return part == "report" and temperature == 1


def compared(part: str, temperature: float) -> bool:
    """Whether these samples are compared with one another too: what is reported, as it ships."""
    return part != "selection" and temperature == 1


def _across(evaluation: EvaluationSpec, tokens: Tensor, backbone: AnyBackbone) -> Across:
    return evaluate_across(evaluation.task, tokens.long(), backbone.process.num_tokens)


def _first(tokens: Tensor) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in tokens[:SHOWN].tolist())
