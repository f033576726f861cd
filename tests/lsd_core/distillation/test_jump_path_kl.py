"""Path-KL without a mask: bridges are Tweedie steps, prices bound the divergence, the best schedule is found."""

from functools import cache
from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.hidden_markov import HiddenMarkov
from lsd_core.distillation.gains import Gains, choose_gains
from lsd_core.distillation.learned import Problem
from lsd_core.distillation.path_kl import fit, grid_change
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig
from lsd_core.errors import InputError
from lsd_core.paths.jump_model import JumpModel
from lsd_core.paths.model import EdgeCosts
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import Process
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.full import growth_between, predict
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import all_states, product_law
from tests.lsd_core.samplers.dense.noisy import GAUSSIAN, UNIFORM, chain, data_law, exact_paths, forward

both = pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])
NODES = 32


def paths(backbone: HiddenMarkov, count: int = 600, nodes: int = NODES) -> Trajectories:
    return exact_paths(backbone, count, nodes)


@cache
def edge_costs(process: Process, sampler: str) -> EdgeCosts:
    """Of the chain of a process, from all its paths."""
    backbone = chain(process)
    return edge_costs_of(backbone, sampler, paths(backbone), 300)


def edge_costs_of(backbone: HiddenMarkov, sampler: str, trajectories: Trajectories, batch: int) -> EdgeCosts:
    method = named(sampler, backbone)
    return JumpModel(backbone=backbone, method=method, batch=batch).edge_costs(trajectories)


def gains_of(backbone: HiddenMarkov, table: StepTable, candidates: tuple[float, ...], draws: Draws) -> Gains:
    model = JumpModel(backbone=backbone, method=named("tweedie", backbone))
    return choose_gains(model, table, candidates, draws)


def true_divergence(backbone: HiddenMarkov, sampler: str, times: tuple[float, ...]) -> float:
    """KL of the exact chain at the schedule's times from the student's, both over whole sequences."""
    process, length, total = backbone.process, backbone.length, 0.0
    x, clean = all_states(process.num_states, length), data_law(backbone)
    for t, s in pairwise(times):
        to_s = forward(process, length, growth_between(process, s, 0.0) if s else 0.0)
        to_t = forward(process, length, growth_between(process, t, s))
        at_s = clean @ to_s if s else clean
        joint = at_s[:, None] * to_t  # [state at s, state at t]
        step = Step(0, t, s, 1.0, "log_score")
        seen = predict(backbone, x, t)
        law = seen.tweedie(s) if s == 0 else SAMPLERS[sampler].kernel(seen, step)
        student = product_law(law.probs).T  # [state at s, state at t]
        conditional = joint / joint.sum(0)
        terms = torch.where(joint > 0, joint * (conditional / student).log(), 0.0)
        total += float(terms.sum())
    return total


@both
def test_bridges_are_tweedie_steps(process: Process) -> None:
    """Kolmogorov's equation with the bridge rates carries a token from t to the Tweedie law at s."""
    backbone, x = chain(process), torch.tensor([[0, 2]])
    seen, pieces, t, s = predict(backbone, x, 0.8), 100, 0.8, 0.3
    law = torch.nn.functional.one_hot(x, 3).double()
    for piece in range(pieces):
        u = t - (t - s) * (piece + 0.5) / pieces
        rates = torch.stack([seen.bridge_rates(torch.full_like(x, here), u) for here in range(3)], dim=2)
        generator = rates - torch.diag_embed(rates.sum(-1))
        law = torch.einsum("bla,blay->bly", law, torch.linalg.matrix_exp((t - s) / pieces * generator))
    torch.testing.assert_close(law, seen.tweedie(s).probs, atol=1e-4, rtol=0)


@both
def test_a_bridge_knows_where_its_own_token_went(process: Process) -> None:
    """Averaged over where a token may be at u, its clean law is what it was at t."""
    backbone, x = chain(process), all_states(3, 2)
    seen = predict(backbone, x, 0.8)
    place = seen.tweedie(0.4).probs
    mixed = sum(place[..., here, None] * seen.bridge_x0(torch.full_like(x, here), 0.4) for here in range(3))
    torch.testing.assert_close(mixed, seen.x0, atol=1e-9, rtol=0)


@both
@pytest.mark.parametrize("sampler", ["tweedie", "tau_leaping"])
@pytest.mark.parametrize("steps", [(0,), (0, 16), (0, 8, 24)])
@pytest.mark.slow
def test_a_price_is_not_below_the_divergence(process: Process, sampler: str, steps: tuple[int, ...]) -> None:
    backbone, prices = chain(process), edge_costs(process, sampler)
    nodes = (*steps, NODES)
    price = sum(float(prices.cost[i, j]) for i, j in pairwise(nodes))
    true = true_divergence(backbone, sampler, tuple(1 - node / NODES for node in nodes))
    assert true * 0.9 - 0.01 < price < 3 * true + 0.2  # paths are sampled: a tenth of room below


@both
def test_independent_tokens_cost_nothing(process: Process) -> None:
    backbone = chain(process, independent=True)
    prices = edge_costs_of(backbone, "tweedie", paths(backbone, 40), 40)
    assert float(prices.cost.abs().max()) < 1e-8


@both
def test_steps_that_look_more_often_cost_less_and_in_the_limit_nothing(process: Process) -> None:
    prices = edge_costs(process, "tweedie")
    totals = [
        sum(float(prices.cost[i, i + width]) for i in range(0, NODES, width)) for width in (32, 8, 2, 1)
    ]
    assert totals[0] > totals[1] > totals[2] > totals[3]
    assert totals[3] < totals[2] * 0.7


@both
def test_the_learned_schedule_is_the_best_of_all(process: Process) -> None:
    backbone = chain(process)
    problem = Problem(
        backbone=backbone,
        sampler="tweedie",
        num_steps=3,
        trajectories=paths(backbone, nodes=12),
        seed=0,
        batch=64,
    )
    learned = fit(problem, PathKLScheduleConfig())
    prices = edge_costs_of(backbone, "tweedie", problem.trajectories, 64)  # type: ignore[arg-type]
    every = [
        (sum(float(prices.cost[i, j]) for i, j in pairwise((0, *inner, 12))), (0, *inner, 12))
        for inner in combinations(range(1, 12), 2)
    ]
    assert learned.table.times == tuple(1 - node / 12 for node in min(every)[1])
    assert learned.diagnostics["price_nats"] == pytest.approx(min(every)[0])
    assert learned.sequences == 600 * 12


@pytest.mark.slow
def test_a_grid_can_be_so_fine_that_a_finer_one_changes_nothing() -> None:
    backbone = chain(UNIFORM)
    prices = edge_costs_of(backbone, "tweedie", paths(backbone, 300, nodes=128), 300)
    assert abs(grid_change(prices, 4)) < 0.01
    coarse = edge_costs_of(backbone, "tweedie", paths(backbone, 300, nodes=8), 300)
    assert abs(grid_change(coarse, 4)) > 0.01
    for nodes in (7, 8):  # every second time struck, both ends kept: a coarser grid never costs less
        assert grid_change(edge_costs_of(backbone, "tweedie", paths(backbone, 300, nodes=nodes), 300), 2) >= 0


@pytest.mark.parametrize("nodes", [7, 8])
def test_a_coarser_grid_never_has_a_better_schedule(nodes: int) -> None:
    """Also where every second time leaves out the last one before the end."""
    gen = torch.Generator().manual_seed(nodes)
    cost = torch.rand(nodes + 1, nodes + 1, generator=gen, dtype=torch.float64)
    for num_steps in (1, 2, 3):
        assert grid_change(EdgeCosts(cost, None, 0), num_steps) >= 0


def test_gains_are_one_where_tokens_know_nothing_of_each_other() -> None:
    table = uniform_times(3)
    draws = Draws(1, torch.arange(256))
    free = gains_of(chain(UNIFORM, independent=True), table, (0.5, 1.0, 2.0), draws)
    assert free.table.gains == (1.0, 1.0, 1.0)
    assert free.bound == pytest.approx(0.0, abs=1e-6)
    bound = gains_of(chain(UNIFORM), table, (1.0,), draws).bound
    assert bound > 0.001
    assert free.sequences == 256 * (3 * 4 + 3)


def test_learned_gains_do_not_raise_the_bound() -> None:
    backbone = chain(UNIFORM, length=3)
    draws = Draws(1, torch.arange(1024))
    table = StepTable(times=(1.0, 0.5, 0.0))
    learned = gains_of(backbone, table, (0.8, 1.0, 1.3, 1.8), draws)
    plain = gains_of(backbone, table, (1.0,), draws)
    assert learned.bound <= plain.bound * 1.02


def test_what_cannot_be_priced_is_said() -> None:
    backbone = chain(UNIFORM)
    with pytest.raises(InputError, match=r"look at the network once a step.*theta_trapezoidal"):
        edge_costs_of(backbone, "theta_trapezoidal", paths(backbone, 4), 4)
    problem = Problem(
        backbone=backbone, sampler="tweedie", num_steps=9, trajectories=paths(backbone, 4, 8), seed=0, batch=4
    )
    with pytest.raises(InputError, match=r"nfe must lie in 1 .. 8, the teacher's times, got 9"):
        fit(problem, PathKLConfig())
    with pytest.raises(InputError, match="trajectories must be given with states"):
        fit(
            Problem(backbone=backbone, sampler="tweedie", num_steps=2, trajectories=None, seed=0, batch=4),
            PathKLConfig(),
        )


def test_the_divergence_that_prices_bound_is_the_exact_chains(tmp_path: object) -> None:
    """The oracle itself: the exact chain pays nothing against its own kernels."""
    backbone = chain(UNIFORM, independent=True)
    assert true_divergence(backbone, "tweedie", (1.0, 0.5, 0.0)) == pytest.approx(0.0, abs=1e-9)
    marginal: Tensor = data_law(backbone)
    assert kl(marginal, marginal) == 0.0
