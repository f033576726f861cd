"""The step engine draws what the plain formulas draw: whatever it leaves out, blocks or keeps."""

import pytest
import torch

from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers import categorical
from lsd_core.samplers.categorical import draw_categorical, draw_power
from lsd_core.samplers.masked import HEAD_ELEMENTS, ComputedTokens
from lsd_core.samplers.orders import HALTON, UNIFORM, Order
from lsd_core.samplers.orders.fixed import Permutation
from lsd_core.samplers.state import AT_ONCE, Draws


def weights_and_uniforms(rows: int, tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    gen = torch.Generator().manual_seed(tokens)
    log_weights = 3 * torch.randn(rows, tokens, generator=gen, dtype=torch.float64)
    log_weights[::3, tokens // 4 : tokens // 2] = -torch.inf
    return log_weights.to(dtype), torch.rand(rows, generator=gen, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [1.0, 0.7, 2.5])
@pytest.mark.parametrize("tokens", [7, 1024, 1025, 5000])
def test_the_engines_draw_is_inversion_of_the_normalised_law(
    tokens: int, power: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        categorical.DRAW_ELEMENTS, "cpu", 4 * tokens + 1
    )  # four rows a piece, the last one short
    log_weights, uniform = weights_and_uniforms(301, tokens, dtype)
    plain = draw_categorical((power * log_weights.double()).log_softmax(-1).exp(), uniform)
    assert torch.equal(draw_power(log_weights, power, uniform), plain)
    assert len(plain.unique()) > tokens // 100


def test_blocks_never_yield_the_impossible() -> None:
    log_weights = torch.full((4, 3000), -torch.inf)
    log_weights[:, [600, 1300]] = 0.0  # alone in their blocks, with empty blocks before, between and after
    top = torch.nextafter(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))
    uniform = torch.tensor([0.0, 0.4999999, 0.5, float(top)], dtype=torch.float64)
    assert draw_power(log_weights, 1.0, uniform).tolist() == [600, 600, 1300, 1300]


def test_blocks_keep_the_tail() -> None:
    weight = torch.tensor([0.0, *[-40.0] * 4999])  # each of the last tokens has probability 4e-18
    uniform = torch.tensor([0.5, 1 - 1e-14], dtype=torch.float64)
    first, last = draw_power(weight.expand(2, -1), 1.0, uniform).tolist()
    assert (first, last > 0) == (0, True)


def test_nothing_is_drawn_from_no_rows() -> None:
    none = torch.zeros(0, dtype=torch.float64)
    assert draw_power(torch.zeros(0, 5000), 1.0, none).shape == (0,)
    assert ComputedTokens(lambda chosen: torch.zeros(len(chosen), 5), 5).draw(none.long(), none).shape == (0,)


def test_a_law_is_asked_for_a_bounded_number_of_rows_at_a_time() -> None:
    asked: list[int] = []
    tokens = HEAD_ELEMENTS // 10

    def log_probs(chosen: torch.Tensor) -> torch.Tensor:
        asked.append(len(chosen))
        row = torch.full((1, tokens), -torch.inf)
        row[0, 3] = 0.0
        return row.expand(len(chosen), -1)

    uniform = torch.full((25,), 0.5, dtype=torch.float64)
    drawn = ComputedTokens(log_probs, tokens).draw(torch.arange(25), uniform)
    assert drawn.tolist() == [3] * 25
    assert asked == [10, 10, 5]


def test_kept_uniforms_are_the_ones_of_the_formula_in_whatever_order_they_are_asked_for() -> None:
    trajectory = torch.tensor([5, 2, 9])
    draws, length = Draws(7, trajectory), AT_ONCE["cpu"] // 3 // 4 - 1
    position = torch.arange(length)
    for purpose in (Purpose.REVEAL, Purpose.TOKEN):
        for call in (0, 3, 4, 2, 11, 0):
            plain = uniforms(7, trajectory[:, None], call, position[None], purpose)
            assert torch.equal(draws.grid(call, purpose, length), plain)
    rows = (torch.tensor([2, 0]), torch.tensor([4, 1]))
    assert torch.equal(
        draws.at(3, Purpose.REVEAL, rows, length),
        uniforms(7, trajectory[rows[0]], 3, rows[1], Purpose.REVEAL),
    )


def test_keys_of_an_order_are_computed_once_and_are_that_orders() -> None:
    draws, made = Draws(7, torch.tensor([5, 2, 9])), list[Order]()

    def keys(order: Order, length: int) -> torch.Tensor:
        def make() -> torch.Tensor:
            made.append(order)
            return order.keys(draws, length)

        return draws.keys(order, length, make)

    for order, length in ((HALTON, 6), (HALTON, 6), (UNIFORM, 6), (UNIFORM, 7), (Permutation((1, 0)), 2)):
        assert torch.equal(keys(order, length), order.keys(draws, length))
    assert torch.equal(keys(Permutation((1, 0)), 2), keys(Permutation((1, 0)), 2))
    assert made == [HALTON, UNIFORM, UNIFORM, Permutation((1, 0))]
    assert not torch.equal(keys(Permutation((0, 1)), 2), keys(Permutation((1, 0)), 2))
