"""EDS and WDS: schedules of equal steps of entropy, or of its square root (Foresti et al. 2026, arXiv 2602.06849).

*EDS*, the entropic discrete schedule, spaces steps equally in entropy production, so that each gains as much
information. When a masked process unmasks a token it produces the entropy H of the network's distribution of it, beside
a term of the noise alone, log of the odds of a mask, which a count does not have and which is left out over times too.
So EDS takes equal steps of sum_n H_n over counts, and of H(x_0 | x_t) over times.

*WDS*, the Wasserstein discrete schedule, spaces steps equally in the bound on the Wasserstein distance that goes with
it: the thermodynamic speed limit, the integral of the square root of entropy production times jumps, both a unit of
time. It does not depend on the unit. With one jump a count it is sum_n sqrt(H_n), the form that is taken here.

Neither looks at how much a step's tokens depend on each other, which is all that path-KL looks at.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lsd_core.distillation.equal_steps import Rate, equal_steps_in_counts, equal_steps_in_times
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import Method
from lsd_core.distillation.path_models import model_along
from lsd_core.errors import InputError
from lsd_core.paths.entropies import ReportedEntropies, reported_entropies
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.samplers.catalog import get_sampler, in_order_of
from lsd_core.samplers.protocol import Sampler, learnable


@dataclass(frozen=True, kw_only=True)
class EntropyScheduleConfig:
    """Settings of both schedules."""

    price_sequences: int = 8192
    """Network budget of the entropies, and paths, as in `PathKLScheduleConfig`."""

    def __post_init__(self) -> None:
        if self.price_sequences < 1:
            raise InputError("price_sequences", "be >= 1", self.price_sequences)

    def check_sampler(self, sampler: Sampler) -> None:
        """Raise InputError for a sampler that looks at the tokens: its paths have entropies of their own."""
        if sampler.adaptive:
            rule = "unmask in an order that does not depend on the tokens, for `eds` and `wds`"
            raise InputError("sampler", rule, sampler.name, "choose fixed_counts")


def fit_eds(problem: Problem, config: EntropyScheduleConfig) -> Learned:
    return _fit(problem, config, lambda entropy: entropy)


def fit_wds(problem: Problem, config: EntropyScheduleConfig) -> Learned:
    return _fit(problem, config, torch.sqrt)


def _fit(problem: Problem, config: EntropyScheduleConfig, rate: Rate) -> Learned:
    """Counts where path-KL's tables hold them, else times; gains 1. Cost: as that of path-KL's edges."""
    backbone = problem.absorbing
    sampler = get_sampler(problem.sampler, backbone.process)
    config.check_sampler(sampler)
    model = model_along(problem, sampler)
    if learnable(sampler):
        model.check_steps(problem.num_steps)
    entropies = _entropies(problem, config, model)
    entropy: Tensor = entropies.mean
    if learnable(sampler):
        table = in_order_of(sampler.name, equal_steps_in_counts(entropy, rate, problem.num_steps))
    else:
        table = equal_steps_in_times(entropy, rate, problem.num_steps, backbone.process)
    diagnostics = {"entropy_nats": float(entropy.sum()), "price_sequences": entropies.sequences}
    return Learned(table=table, sequences=entropies.sequences, diagnostics=diagnostics)


def _entropies(problem: Problem, config: EntropyScheduleConfig, model: MaskedModel) -> ReportedEntropies:
    """On the paths that cost path-KL's edges; computed once for all cells, seeds and both schedules on them."""
    reference = model.reference(config.price_sequences)

    def compute() -> ReportedEntropies:
        paths, drawn = reference.draw()
        found = reported_entropies(model, paths, problem.progress)
        return ReportedEntropies(found.nats, found.sequences + drawn)

    entropies: ReportedEntropies = problem.keep(("entropies", reference.key), compute)
    return entropies


EDS = Method(
    name="eds",
    kind="control",
    description="equal steps of the entropy that the network reports",
    config_class=EntropyScheduleConfig,
    fit=fit_eds,
    reads_paths=True,
    grid="counts",
    sweep=True,
)
WDS = Method(
    name="wds",
    kind="control",
    description="equal steps of the square root of that entropy: of a bound on the Wasserstein distance",
    config_class=EntropyScheduleConfig,
    fit=fit_wds,
    reads_paths=True,
    grid="counts",
    sweep=True,
)
