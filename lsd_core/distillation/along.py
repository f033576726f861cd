"""The backbone along a base sampler's order, as controls that look at it read it."""

from lsd_core.distillation.learned import Problem
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.protocol import Sampler


def model_along(problem: Problem, sampler: Sampler) -> MaskedModel:
    """The masked model of a problem; all samplers of uniform order share one, and a learned order is Halton's."""
    backbone, order = problem.absorbing, sampler.order
    return MaskedModel(
        backbone=backbone,
        method=named("fixed_counts" if order.exchangeable else sampler.name, backbone),
        batch=problem.batch,
        stored=problem.trajectories,
        seed=problem.seed,
        teacher_seed=problem.teacher_seed,
        permutation=halton_positions(backbone.length) if order.learned else None,
    )
