"""Uniforms are Philox4x32-10, uniform, and functions of their counter alone."""

import pytest
import torch
from scipy import stats

from lsd_core.numerics.randomness import Purpose, philox4x32, uniform_grid, uniforms

ONES = 0xFFFFFFFF

# Known answers of the authors' library Random123 (kat_vectors, philox4x32 with 10 rounds).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def words(*values: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([value]) for value in values)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, answer) -> None:
    assert tuple(int(word) for word in philox4x32(words(*counter), key)) == answer


def test_uniforms_place_each_argument_in_its_own_counter_word() -> None:
    seed = 0x299F31D0_A4093822
    trajectory, call, position = words(0x243F6A88, 0x85A308D3, 0x13198A2E)
    w0, w1, _, _ = philox4x32(
        (trajectory, call, position, torch.tensor([int(Purpose.TOKEN)])), (0xA4093822, 0x299F31D0)
    )
    expected = ((int(w0) >> 5) * 2**26 + (int(w1) >> 6)) / 2**53
    assert float(uniforms(seed, trajectory, call, position, Purpose.TOKEN)) == expected


def test_uniforms_are_uniform_in_every_argument() -> None:
    zero, many = torch.zeros(1, dtype=torch.long), torch.arange(20_000)
    lists = [
        uniforms(1, many, 0, zero, Purpose.TOKEN),
        uniforms(1, zero, many, zero, Purpose.TOKEN),
        uniforms(1, zero, 0, many, Purpose.TOKEN),
        torch.cat([uniforms(seed, zero, 0, zero, Purpose.TOKEN) for seed in range(2_000)]),
        uniform_grid(1, torch.arange(100), 3, 200, Purpose.REVEAL).flatten(),
    ]
    for values in lists:
        assert values.dtype == torch.float64
        assert float(values.min()) >= 0
        assert float(values.max()) < 1
        assert stats.kstest(values.numpy(), "uniform").pvalue > 0.001
        pairs = torch.histogramdd(torch.stack([values[:-1], values[1:]], 1), 8, range=[0, 1, 0, 1]).hist
        assert stats.chisquare(pairs.flatten().numpy()).pvalue > 0.001


def test_purposes_differ_and_are_distinct_counters() -> None:
    zero, many = torch.zeros(1, dtype=torch.long), torch.arange(1_000)
    columns = torch.stack([uniforms(0, many, 0, zero, purpose) for purpose in Purpose])
    assert len(set(int(purpose) for purpose in Purpose)) == len(Purpose)
    correlation = torch.corrcoef(columns) - torch.eye(len(columns), dtype=torch.float64)
    assert float(correlation.abs().max()) < 0.15


def test_a_uniform_does_not_depend_on_its_batch() -> None:
    whole = uniform_grid(7, torch.arange(64), 5, 9, Purpose.ORDER)
    part = uniform_grid(7, torch.tensor([63, 3]), torch.tensor([5, 5]), 9, Purpose.ORDER)
    rows = uniforms(7, torch.tensor([3, 63]), 5, torch.tensor([8, 0]), Purpose.ORDER)
    assert torch.equal(part, whole[[63, 3]])
    assert torch.equal(rows, torch.stack([whole[3, 8], whole[63, 0]]))
