"""The countdown metrics against cases worked by hand and a second implementation."""

import itertools

import pytest
import torch

from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.errors import InputError
from lsd_core.metrics.countdown import error, error_published, start_tv, start_values, violations


def test_error_counts_each_broken_transition():
    tokens = torch.tensor(
        [
            [3, 2, 1, 0, 7, 6],  # perfect: anything may follow a zero
            [3, 3, 2, 0, 0, 5],  # 3 -> 3 and 2 -> 0 break it
            [0, 0, 0, 0, 0, 0],  # perfect
            [1, 2, 3, 4, 5, 6],  # all five do
        ]
    )
    assert error(tokens).tolist() == [0.0, 2 / 5, 0.0, 1.0]


def test_published_error_sees_every_second_transition_only():
    tokens = torch.tensor(
        [
            [3, 3, 2, 1, 0, 5],  # the broken one is the first, which is looked at
            [3, 2, 2, 1, 0, 5],  # it is the second, which is not
            [1, 2, 3, 4, 5, 6],  # looked at: 1st, 3rd, 5th
        ]
    )
    assert error_published(tokens).tolist() == [1 / 5, 0.0, 3 / 5]
    assert error(tokens).tolist() == [1 / 5, 1 / 5, 1.0]


def test_random_tokens_score_as_the_formula_says():
    tokens = torch.randint(0, 32, (4000, 64), generator=torch.Generator().manual_seed(0))
    chance = (31 / 32) ** 2
    assert float(error(tokens).mean()) == pytest.approx(chance, abs=0.002)
    assert float(error_published(tokens).mean()) == pytest.approx(chance * 32 / 63, abs=0.002)  # 0.477


def test_errors_agree_with_a_plain_loop():
    tokens = torch.randint(0, 4, (50, 9), generator=torch.Generator().manual_seed(1))
    for row, ours, theirs in zip(
        tokens.tolist(), error(tokens).tolist(), error_published(tokens), strict=True
    ):
        broken = [a > 0 and b != a - 1 for a, b in itertools.pairwise(row)]
        assert ours == pytest.approx(sum(broken) / 8)
        assert float(theirs) == pytest.approx(sum(broken[i] for i in range(0, 8, 2)) / 8)


def test_data_break_no_rule():
    tokens = draw_sequences(3, torch.arange(200), 64)
    assert not violations(tokens).any()
    starts = len(start_values(tokens))
    assert start_tv(tokens, 32) == pytest.approx(0.4 * (32 / starts) ** 0.5, rel=0.3)  # noise alone


def test_starts_are_the_first_token_and_those_after_a_zero():
    tokens = torch.tensor([[2, 1, 0, 3, 2], [0, 0, 1, 0, 1]])
    assert start_values(tokens).tolist() == [2, 3, 0, 0, 1, 1]


def test_start_tv_by_hand():
    tokens = torch.tensor([[2, 1, 0, 3, 2], [0, 0, 1, 0, 1]])
    # shares of 0, 1, 2, 3: 2/6, 2/6, 1/6, 1/6, against 1/4 each
    assert start_tv(tokens, 4) == pytest.approx((1 / 12 + 1 / 12 + 1 / 12 + 1 / 12) / 2)
    assert start_tv(torch.tensor([[3, 2]]), 4) == pytest.approx(0.75)


def test_one_token_has_no_transition():
    with pytest.raises(InputError, match="tokens must be at least 2 long"):
        error(torch.tensor([[3]]))
