"""Packing is exact, and is what its description says."""

import numpy as np
import pytest

from lsd_core.trajectories.bits import bits_for, pack, packed_bytes, unpack


@pytest.mark.parametrize("bits", range(1, 25))
@pytest.mark.parametrize("length", [1, 5, 8, 13])
def test_row_is_the_number_whose_digits_are_the_values(bits: int, length: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, size=(3, length))
    values[0] = (1 << bits) - 1
    packed = pack(values, bits)
    for row, given in zip(packed, values.tolist(), strict=True):
        number = sum(value << (i * bits) for i, value in enumerate(given))
        assert row.tobytes() == number.to_bytes(packed_bytes(length, bits), "little")
    assert (unpack(packed, bits, length) == values).all()


@pytest.mark.parametrize(
    ("num_values", "bits"), [(1, 1), (2, 1), (3, 2), (1024, 10), (1025, 11), (50257, 16)]
)
def test_bits_are_the_fewest_that_tell_the_values_apart(num_values: int, bits: int) -> None:
    assert bits_for(num_values) == bits
