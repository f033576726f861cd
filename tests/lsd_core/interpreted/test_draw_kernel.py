"""The fused draw is inversion within its stated rounding, and never yields the impossible."""

import math

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.samplers import categorical
from lsd_core.samplers.categorical import NEAR, draw_power, fused_draw, fuses
from lsd_core.samplers.draw_kernel import MOST_BLOCK, single, thirds
from lsd_core.samplers.masked import X0Tokens
from tests.lsd_core.fused_cases import ALMOST_ONE, at_boundaries, differing_tokens, rows, wrong_tokens
from tests.lsd_core.oracles import misfit_backbone

SIZES = [(tokens, torch.float32) for tokens in (1, 7, 1000, MOST_BLOCK, MOST_BLOCK + 1, 3 * MOST_BLOCK - 5)]
SIZES += [
    (tokens, kind)
    for tokens in (7, MOST_BLOCK + 1)
    for kind in (torch.bfloat16, torch.float16, torch.float64)
]


def spread(count: int) -> torch.Tensor:
    return torch.linspace(0, ALMOST_ONE, count, dtype=torch.float64)


@pytest.mark.parametrize(("tokens", "dtype"), SIZES)
def test_the_fused_draw_is_inversion(tokens: int, dtype: torch.dtype) -> None:
    log_weights = rows(6, tokens, dtype)
    for power in (0.7, 2.5):
        assert wrong_tokens(fused_draw, log_weights, power, spread(6)) == 0
        assert differing_tokens(fused_draw, log_weights, power, spread(6)) == 0


@pytest.mark.parametrize(
    ("power", "dtype"),
    [(0.4, torch.float32), (1.7, torch.float32), (0.4, torch.float64), (1.7, torch.bfloat16)],
)
def test_farther_than_the_bound_from_a_boundary_the_token_is_certain(
    power: float, dtype: torch.dtype
) -> None:
    for shift in (1.01 * NEAR, -1.01 * NEAR):
        log_weights, uniform, index = at_boundaries(rows(12, 3000, dtype), power, shift)
        assert len(index) > 8
        assert torch.equal(fused_draw(log_weights, power, uniform), index)


def test_the_impossible_is_never_drawn() -> None:
    log_weights = torch.full((5, 4 * MOST_BLOCK), -torch.inf)
    log_weights[:, [MOST_BLOCK + 600, 3 * MOST_BLOCK - 1]] = 0.0  # alone in their blocks, empty blocks around
    uniform = torch.tensor([0.0, 0.4999999, 0.5, 0.9999999, ALMOST_ONE], dtype=torch.float64)
    first, last = MOST_BLOCK + 600, 3 * MOST_BLOCK - 1
    assert draw_power(log_weights, 1.0, uniform).tolist() == [first, first, last, last, last]
    assert fused_draw(log_weights, 1.0, uniform).tolist() == [first, first, last, last, last]


def test_an_interval_holds_its_begin_and_not_its_end() -> None:
    log_weights = torch.full((4, 3000), -torch.inf)
    log_weights[:, [40, 41, 50, 2900]] = 0.0
    assert fused_draw(log_weights, 1.0, torch.arange(4) / 4).tolist() == [40, 41, 50, 2900]
    below = torch.tensor([0.25, 0.5, 0.75, 1.0], dtype=torch.float64) - 2.0**-53
    assert fused_draw(log_weights, 1.0, below).tolist() == [40, 41, 50, 2900]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [0.05, 0.7, 1.0, 1.3])
def test_weights_are_right_however_far_apart_and_whatever_the_logits_share(
    power: float, dtype: torch.dtype
) -> None:
    """One token against 4096 others of 1/4096 each, to a tenth of the bound: 2^f is better here than on a GPU."""
    for shared in (0.0, 600.0, -2500.0):
        log_weights = torch.full((1, 4097), (shared - 12 * math.log(2)) / power, dtype=dtype)
        log_weights[0, 0] = shared / power
        boundary = (power * log_weights.double()).softmax(-1)[:, 0]
        for shift, drawn in ((-0.1 * NEAR, [True]), (0.1 * NEAR, [False])):
            assert (fused_draw(log_weights, power, boundary + shift) == 0).tolist() == drawn


def test_a_weight_too_small_for_a_float32_beside_the_largest_is_still_a_token() -> None:
    """The first block's weights are 1e-60 of the second's: no float32 holds both, and at uniform 0 one is drawn."""
    log_weights = torch.full((2, 2 * MOST_BLOCK), -torch.inf)
    log_weights[:, 5], log_weights[:, MOST_BLOCK + 5] = -140.0, 0.0
    uniform = torch.tensor([0.0, 1e-17], dtype=torch.float64)
    assert fused_draw(log_weights, 1.0, uniform).tolist() == [5, MOST_BLOCK + 5]
    assert fused_draw(log_weights, 1.0, uniform).equal(categorical._draw_plainly(log_weights, 1.0, uniform))


def test_the_tail_is_kept() -> None:
    weight = torch.tensor([0.0, *[-40.0] * 4999])
    uniform = torch.tensor([0.5, 1 - 1e-14], dtype=torch.float64)
    assert wrong_tokens(fused_draw, weight.expand(2, -1), 1.0, uniform) == 0
    assert int(fused_draw(weight.expand(2, -1), 1.0, uniform)[1]) > 0


@pytest.mark.parametrize("offset", [-2000.0, 1000.0, 2000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_all_logits_share_does_not_matter(offset: float, dtype: torch.dtype) -> None:
    log_weights = (rows(12, 3000, torch.float32) + offset).to(dtype)
    for power in (0.5, 1.0):
        assert wrong_tokens(fused_draw, log_weights, power, spread(12)) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [-3e38, -1e20, -5e6, 5e6, 3e38])
def test_logits_beyond_every_exponent_yield_a_possible_token(value: float, dtype: torch.dtype) -> None:
    log_weights = torch.full((3, 3000), value, dtype=dtype)
    log_weights[:, 100:] = -torch.inf
    assert set(fused_draw(log_weights, 1.0, spread(3)).tolist()) == {0, 49, 99}
    log_weights[:, 7] = 0.0
    assert fused_draw(log_weights, 1.0, spread(3)[1:2].expand(3)).tolist() == [7 if value < 0 else 50] * 3


def test_rows_may_lie_apart_and_nothing_is_drawn_from_none() -> None:
    log_weights = rows(8, 3001, torch.float32)
    assert differing_tokens(fused_draw, log_weights[:, :-1], 1.0, spread(8)) == 0
    assert differing_tokens(fused_draw, log_weights[::2, 1:], 1.0, spread(8)[:4]) == 0
    assert differing_tokens(fused_draw, log_weights[:1].expand(8, -1), 1.0, spread(8)) == 0
    assert differing_tokens(fused_draw, log_weights.T.contiguous().T, 1.0, spread(8)) == 0
    assert fused_draw(log_weights[:0], 1.0, spread(8)[:0]).shape == (0,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rows_that_are_no_distributions_are_told_apart(
    value: float, fused_on_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_weights = rows(4, 5000, torch.float32)
    log_weights[2, 4500] = value
    if value < 0:
        log_weights[2] = value
    token = fused_draw(log_weights, 1.0, spread(4))
    assert (token < 0).tolist() == [False, False, True, False]
    assert int(draw_power(log_weights, 1.0, spread(4)).min()) >= 0

    backbone = misfit_backbone(2, 3, 3, timed=True)
    monkeypatch.setattr(backbone, "head", lambda features: log_weights[features[:, 0].long()])
    monkeypatch.setattr(backbone, "process", Absorbing(5000))
    at = (torch.zeros(4, dtype=torch.long), torch.arange(4))
    tokens = X0Tokens(backbone, torch.arange(4.0)[None, :, None], at)
    with pytest.raises(InputError, match="output of backbone table must have a finite largest value"):
        tokens.draw(torch.arange(4), spread(4))
    assert tokens.draw(torch.tensor([0, 1, 3]), spread(3)).tolist()


def test_a_number_is_the_sum_of_its_thirds() -> None:
    for power in (0.01, 0.3, 1.0, 1.7, 50.0):
        value = math.log(2) / power
        high, middle, low = thirds(value)
        assert abs(high + middle + low - value) < 2.0**-46 * value
        assert high == single(high)
        assert all(single(4095 * part) == 4095 * part for part in (high, middle))


def test_gains_out_of_range_keep_the_plain_path(fused_on_cpu: None) -> None:
    cpu = torch.device("cpu")
    assert [fuses(cpu, power) for power in (0.0, 1e-320, 0.01, 50.0, 1e9)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert draw_power(torch.zeros(2, 4), 0.0, spread(2)).tolist() == [0, 3]
