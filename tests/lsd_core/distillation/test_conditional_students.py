"""What is learned under conditions is what would be learned on the chain of the free positions alone."""

import pytest
import torch

from lsd_core.backbones.list_operations import list_templates
from lsd_core.backbones.lists import lists_exact
from lsd_core.distillation.alignment import update
from lsd_core.distillation.learned import Problem
from lsd_core.distillation.lsd import LSDConfig, masked_fit
from lsd_core.distillation.methods import METHODS, get_method
from lsd_core.errors import InputError
from lsd_core.samplers.conditional import Conditioned, rescaled
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.conditions import Conditions, conditioned
from tests.lsd_core.given import AT_END, BACKBONE, SEED, conditions, free_chain, teacher_paths

# The free positions come first, so that they have the uniforms of a chain of two.
GIVEN = conditions(AT_END)


def posed(num_steps: int, *, given: bool) -> Problem:
    """A cell on AT_END, under conditions or on the free chain."""
    if given:
        backbone, paths = Conditioned(BACKBONE), teacher_paths(GIVEN, 32)
    else:
        backbone = free_chain(AT_END)
        paths = first_hitting(backbone, Draws(SEED, torch.arange(32)))
    return Problem(
        backbone=backbone,
        sampler="euler",
        num_steps=num_steps,
        trajectories=paths,
        teacher_seed=SEED,
        seed=5,
        batch=64,
        conditions=GIVEN if given else None,
    )


def learned(name: str, num_steps: int, settings: dict, *, given: bool):
    """The table of a method for such a cell."""
    method = get_method(name)
    return method.fit(posed(num_steps, given=given), method.config(settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lsd", {"coupling": "independent"}),
        ("lsd_plus", {}),
    ],
)
def test_lsd_aligns_with_the_conditional_teacher(name: str, settings: dict) -> None:
    quick = {"epochs": 3, "paths_per_epoch": 32, "zeta": 0.0} | settings
    under, alone = (learned(name, 3, quick, given=given).table for given in (True, False))
    assert under.gains == pytest.approx(alone.gains, abs=1e-4)
    assert under.grid == pytest.approx(alone.grid, abs=1e-4)
    assert max(abs(gain - 1) for gain in under.gains) > 0.01


def test_the_gradient_of_the_log_score_is_that_of_the_free_chain() -> None:
    """Half of it, since a loss is a mean over all four positions; before any update, which Adam may amplify."""
    config = LSDConfig(gain_on="log_score", coupling="independent", zeta=0.0)
    gradients = []
    for given in (True, False):
        problem = posed(3, given=given)
        student, numbers = masked_fit(problem, config)
        update(problem, numbers, student, torch.arange(32), 0)
        gradients.append(numbers.gains.grad)
    torch.testing.assert_close(2 * gradients[0], gradients[1], rtol=1e-9, atol=1e-12)
    assert float(gradients[1].abs().max()) > 1e-4


def test_path_kl_finds_the_table_of_the_free_chain() -> None:
    settings = {"price_sequences": 64, "gain_paths": 32, "candidates": [0.7, 1.0, 1.6]}
    under, alone = learned("path_kl", 2, settings, given=True), learned("path_kl", 2, settings, given=False)
    assert rescaled(under.table, 2).counts == alone.table.counts
    assert under.diagnostics["price_nats"] == pytest.approx(alone.diagnostics["price_nats"])
    assert under.diagnostics["teacher_nats"] == pytest.approx(alone.diagnostics["teacher_nats"])
    assert under.sequences >= alone.sequences > 0  # calls for gains are counted before counts are rescaled


def test_given_a_list_the_schedule_spends_its_steps_where_answers_depend_on_each_other() -> None:
    """Copies given their list are certain: one step costs nothing. With nothing given, the same step costs all."""
    backbone = lists_exact("small", 3, 5)
    questions = list_templates(7, 5, 40, seed=0)
    copies = questions[questions[:, 0] == 0]
    costs = {}
    for name, templates in (("given", copies), ("free", torch.full((1, 7), 5))):
        under = Conditions(templates=templates, num_tokens=5)
        draws = Draws(1, torch.arange(8))
        paths = conditioned(first_hitting(backbone, draws, under.at(1, draws.trajectory)), under, 1)
        problem = Problem(
            backbone=backbone,
            sampler="fixed_counts",
            num_steps=1,
            trajectories=paths,
            seed=5,
            batch=8,
            conditions=under,
        )
        method = get_method("path_kl_schedule")
        costs[name] = method.fit(problem, method.config({"price_sequences": 8})).diagnostics["price_nats"]
    assert costs["given"] < 0.01 < 5 < costs["free"]


def test_methods_say_whether_they_are_for_conditions() -> None:
    under = {name for name, each in METHODS.items() if each.is_for(True)}
    assert {"plain", "lsd", "lsd_plus", "path_kl", "path_kl_rescaled"} <= under
    assert under.isdisjoint({"jys", "eds", "wds", "lsd_plus_literal"})
    assert not get_method("path_kl_rescaled").is_for(False)
    for name, sampler, given in (
        ("jys", "euler", True),
        ("path_kl_rescaled", "euler", False),
        ("lsd", "fixed_counts", True),
        ("path_kl", "learned_order", True),
    ):
        with pytest.raises(InputError):
            get_method(name).check_conditions(sampler, given)
        get_method(name).check_conditions("euler", name != "jys")
