"""Countdown: its draws obey its rule, and its entropy is the entropy of its law."""

import pytest
import torch
from scipy import stats

from lsd_core.backbones.countdown_chain import (
    draw_sequences,
    exact_backbone,
    transition_matrix,
)
from lsd_core.backbones.protocol import log_x0
from tests.lsd_core.oracles import all_states, chi_square, entropy_of_data


def law_of(num_values: int, length: int) -> torch.Tensor:
    """Probability of every sequence, from the rule."""
    x = all_states(num_values, length)
    law = torch.full((len(x),), 1 / num_values, dtype=torch.float64)
    for i in range(1, length):
        free = x[:, i - 1] == 0
        law *= torch.where(free, 1 / num_values, (x[:, i] == x[:, i - 1] - 1).double())
    return law


@pytest.mark.parametrize(("num_values", "length"), [(2, 1), (2, 5), (3, 4), (4, 3)])
def test_entropy_equals_enumeration(num_values: int, length: int) -> None:
    law = law_of(num_values, length)
    assert float(law.sum()) == pytest.approx(1)
    assert entropy_of_data(length, num_values) == pytest.approx(float(-torch.special.xlogy(law, law).sum()))


def test_draws_have_the_law() -> None:
    drawn = draw_sequences(0, torch.arange(20_000), 4, 3)
    assert chi_square(drawn, law_of(3, 4), 3) > 0.001


def test_draws_obey_the_rule_at_full_size() -> None:
    drawn = draw_sequences(1, torch.arange(500), 64)
    before, after = drawn[:, :-1], drawn[:, 1:]
    assert bool((after == before - 1)[before > 0].all())
    assert (int(drawn.min()), int(drawn.max())) == (0, 31)
    free = torch.cat([drawn[:, 0], after[before == 0]])
    assert stats.chisquare(torch.bincount(free, minlength=32).numpy()).pvalue > 0.001


def test_a_sequence_depends_on_its_index_alone() -> None:
    whole = draw_sequences(1, torch.arange(50), 16)
    assert torch.equal(draw_sequences(1, torch.tensor([49, 7]), 16), whole[[49, 7]])
    assert not torch.equal(draw_sequences(2, torch.arange(50), 16), whole)


def test_transitions_are_the_rule() -> None:
    matrix = transition_matrix(4)
    torch.testing.assert_close(matrix.sum(1), torch.ones(4, dtype=torch.float64))
    assert torch.equal(matrix[0], torch.full((4,), 0.25, dtype=torch.float64))
    assert torch.equal(matrix[1:], torch.eye(4, dtype=torch.float64)[:3])


def test_the_exact_backbone_knows_what_follows() -> None:
    backbone = exact_backbone("countdown-exact", 6, 8)
    x = torch.tensor([[8, 5, 8, 8, 2, 8]])
    law = log_x0(backbone, x, torch.tensor([0.5]).double()).exp()[0]
    assert law.argmax(-1).tolist() == [6, 5, 4, 3, 2, 1]
    assert float(law[2, 4]) > 0.999
