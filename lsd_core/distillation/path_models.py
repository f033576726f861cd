"""The path model of a problem: its backbone and sampler, as methods that price steps read them."""

from typing import Any

from lsd_core.backbones.protocol import is_dense
from lsd_core.distillation.learned import Problem
from lsd_core.distillation.path_kl_config import PathKLScheduleConfig
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.drawn_model import DrawnModel
from lsd_core.paths.jump_model import JumpModel, states_of
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import PathModel
from lsd_core.paths.sampler_paths import named
from lsd_core.samplers.adaptive import ByPrediction
from lsd_core.samplers.catalog import chooses_by_draw, factorised, get_sampler
from lsd_core.samplers.confidence import Confidence
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.protocol import Sampler


def path_model(problem: Problem, config: PathKLScheduleConfig, num_steps: int) -> PathModel:
    """For path-KL, along whatever the sampler does; InputError for one that it cannot learn."""
    backbone = problem.backbone
    method = get_sampler(problem.sampler, backbone.process)
    if method.adaptive:
        config.check_sampler(method)
        return _along_choices(problem, method, num_steps)
    method = factorised(method)
    if is_dense(backbone):
        stored = problem.trajectories
        states_of(stored)
        return JumpModel(backbone=backbone, method=method, batch=problem.batch, stored=stored)
    config.check_sampler(method)
    return _over_counts(problem, method, pooled=config.pooled, conditions=problem.conditions)


def model_along(problem: Problem, sampler: Sampler) -> MaskedModel:
    """For controls, along the sampler's order: all of uniform order share one, and a learned order is Halton's."""
    backbone, order = problem.absorbing, sampler.order
    method = named("fixed_counts" if order.exchangeable else sampler.name, backbone)
    return _over_counts(
        problem, method, permutation=halton_positions(backbone.length) if order.learned else None
    )


def _over_counts(problem: Problem, method: OneCall, **settings: Any) -> MaskedModel:
    return MaskedModel(
        backbone=problem.absorbing,
        method=method,
        batch=problem.batch,
        stored=problem.trajectories,
        seed=problem.seed,
        teacher_seed=problem.teacher_seed,
        **settings,
    )


def _along_choices(problem: Problem, method: Sampler, num_steps: int) -> ChosenModel | DrawnModel:
    """Along the choices of a sampler that looks at the tokens."""
    drawn = chooses_by_draw(method)
    rule = Confidence() if drawn else method
    assert isinstance(rule, ByPrediction)
    model = ChosenModel(
        backbone=problem.absorbing,
        method=rule,
        batch=problem.batch,
        num_steps=num_steps,
        root=problem.root,
    )
    return DrawnModel(model) if drawn else model
